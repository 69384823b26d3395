"""The page behind `rfm explore`: settings, what they make the theory say, the page that shows it, and its server."""
