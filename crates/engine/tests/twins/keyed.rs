//! Operators on pairs: aggregation, grouping, partitioning.
