"""Reads the objects of R's nnet() that saveRDS() wrote, and rows of raw data, with R or without."""
