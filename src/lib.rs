//! sk-tracedb
