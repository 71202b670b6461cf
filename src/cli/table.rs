//! Columns for people, as kubectl prints them.

use std::io::{self, Write};

/// Rows measured together: wide enough for a screen, small enough for constant memory.
const ROWS_MEASURED: usize = 500;
/// Space between columns.
const GUTTER: usize = 3;

/// A table that is printed while its rows come in.
pub(super) struct Table<W> {
    out: W,
    rows: Vec<Vec<String>>,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, header: &[&str]) -> Self {
        Self {
            out,
            rows: vec![header.iter().map(|text| (*text).to_owned()).collect()],
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) -> io::Result<()> {
        self.rows.push(cells);
        if self.rows.len() >= ROWS_MEASURED {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in self.rows.drain(..) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(
                    ' ',
                    width + GUTTER - cell.chars().count(),
                ));
            }
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.out.flush()
    }
}
