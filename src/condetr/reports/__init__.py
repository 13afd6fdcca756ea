"""Drawings, self-contained HTML pages and terminal tables that the commands share."""
