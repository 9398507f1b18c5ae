"""Judged, compared and explained."""
