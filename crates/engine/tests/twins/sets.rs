//! Operators on whole data sets: set operations, zips, samples, reshaping.
