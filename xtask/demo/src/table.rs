//! Plain aligned tables.

use std::iter::zip;

/// A column with its heading: text stands left, numbers right.
pub enum Column {
    Text(&'static str),
    Number(&'static str),
}

/// Writes the rows under a title and headings, indented by two.
pub fn table<const N: usize>(title: &str, columns: [Column; N], rows: Vec<[String; N]>) -> String {
    let mut widths = columns.each_ref().map(|column| column.heading().chars().count());
    for row in &rows {
        for (width, cell) in zip(&mut widths, row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let headings = columns.each_ref().map(|column| column.heading().to_owned());
    let mut text = format!("\n{title}\n");
    for row in [&headings].into_iter().chain(&rows) {
        let cells = zip(&columns, zip(row, widths)).map(|(column, (cell, width))| column.pad(cell, width));
        text += &format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

impl Column {
    fn heading(&self) -> &'static str {
        match self {
            Self::Text(heading) | Self::Number(heading) => heading,
        }
    }

    fn pad(&self, cell: &str, width: usize) -> String {
        match self {
            Self::Text(_) => format!("{cell:<width$}"),
            Self::Number(_) => format!("{cell:>width$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![["EIRE".into(), "7".into()], ["United Kingdom".into(), "1,234".into()]];
        let text = table("By country", [Column::Text("country"), Column::Number("lines")], rows);
        let expected = "\nBy country\n  country         lines\n  EIRE                7\n  United Kingdom  1,234\n";
        assert_eq!(text, expected);
    }
}
