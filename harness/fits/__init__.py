"""Fits of trainers: claims are judged, shares of good fits are compared, reports sum them up."""
