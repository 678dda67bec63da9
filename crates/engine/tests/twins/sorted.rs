//! Sorting and ranges of keys.
