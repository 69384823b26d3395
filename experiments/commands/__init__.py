"""One file per `rfm` command: its arguments, its work, its figure."""
