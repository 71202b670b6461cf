//! Room prepared; see docs/design.md.
