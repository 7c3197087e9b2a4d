"""Figures of a report as SVG elements, drawn in the colours of the page: charts and networks."""
