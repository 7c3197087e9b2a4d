"""Reads saved objects of R's nnet() (from saveRDS()), and rows of raw data, with R or without."""
