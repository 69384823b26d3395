"""Rows on what two points of the theory know beside the risk: other test data, teachers, and generations."""
