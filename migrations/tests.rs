//! Tests of the mechanism.
