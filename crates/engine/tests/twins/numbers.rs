//! Actions on numbers and ordered records.
