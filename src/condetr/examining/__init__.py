"""The doctor: checks of a data set, and the clean data set that training and evaluation use."""
