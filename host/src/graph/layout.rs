//! Where the boxes of a drawing go: in layers from left to right, so ordered that few lines cross. Pure arithmetic.
//!
//! After Sugiyama: lines that close a circle are set aside, each box goes one layer behind the last that feeds it, lines
//! over several layers get a waypoint in each, and layers are ordered by the middle of their neighbours.

use std::collections::BTreeMap;

/// The space between layers, and between the boxes of a layer.
const GAP: (f64, f64) = (56.0, 18.0);
/// How often the order of the layers is improved. It settles after a few.
const SWEEPS: usize = 8;

/// Boxes and lines, by number.
pub struct Drawing {
    /// Width and height of each box.
    pub sizes: Vec<(f64, f64)>,
    /// From which box to which.
    pub lines: Vec<(usize, usize)>,
}

/// Where everything goes.
#[derive(Debug)]
pub struct Layout {
    /// The upper left corner of each box.
    pub boxes: Vec<(f64, f64)>,
    /// The points of each line: from the right side of one box over waypoints to the left side of the other.
    pub lines: Vec<Vec<(f64, f64)>>,
    /// Whether the line closes a circle, and so runs back.
    pub back: Vec<bool>,
    /// Width and height of the whole.
    pub size: (f64, f64),
}

/// A box or a waypoint of the layers.
struct Cell {
    size: (f64, f64),
    layer: usize,
    before: Vec<usize>,
    after: Vec<usize>,
    at: (f64, f64),
}

impl Drawing {
    /// Places the boxes.
    pub fn layout(&self) -> Layout {
        let back = self.back();
        let forward: Vec<(usize, usize)> =
            self.lines.iter().zip(&back).filter(|(_, back)| !**back).map(|(line, _)| *line).collect();
        let layers = layers_of(self.sizes.len(), &forward);
        let sized = self.sizes.iter().zip(&layers);
        let mut cells: Vec<Cell> = sized.map(|(size, layer)| Cell::new(*size, *layer)).collect();
        let paths: Vec<Vec<usize>> = self
            .lines
            .iter()
            .zip(&back)
            .map(|(line, back)| if *back { vec![line.0, line.1] } else { chain(&mut cells, *line) })
            .collect();
        let mut rows = rows_of(&cells);
        order(&mut rows, &mut cells);
        place(&rows, &mut cells);
        self.result(&cells, &paths, back)
    }

    /// Which lines close a circle, seen on a walk from the first box on.
    fn back(&self) -> Vec<bool> {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            No,
            Open,
            Done,
        }
        let mut seen = vec![Seen::No; self.sizes.len()];
        let mut back = vec![false; self.lines.len()];
        for start in 0..self.sizes.len() {
            let mut open = vec![(start, 0)];
            while let Some((at, next)) = open.pop() {
                let Some(state) = seen.get_mut(at) else { continue };
                if next == 0 && *state != Seen::No {
                    continue;
                }
                *state = Seen::Open;
                let follow = self.lines.iter().enumerate().skip(next).find(|(_, (from, _))| *from == at);
                let Some((line, (_, to))) = follow else {
                    *state = Seen::Done;
                    continue;
                };
                open.push((at, line + 1));
                match seen.get(*to) {
                    Some(Seen::Open) => back.iter_mut().skip(line).take(1).for_each(|back| *back = true),
                    Some(Seen::No) => open.push((*to, 0)),
                    Some(Seen::Done) | None => {}
                }
            }
        }
        back
    }

    fn result(&self, cells: &[Cell], paths: &[Vec<usize>], back: Vec<bool>) -> Layout {
        let right = |cell: &Cell| (cell.at.0 + cell.size.0, cell.at.1 + cell.size.1 / 2.0);
        let left = |cell: &Cell| (cell.at.0, cell.at.1 + cell.size.1 / 2.0);
        let points = |path: &Vec<usize>| {
            let count = path.len();
            let cells = path.iter().filter_map(|at| cells.get(*at)).enumerate();
            cells
                .flat_map(|(at, cell)| match at {
                    0 => vec![right(cell)],
                    _ if at + 1 == count => vec![left(cell)],
                    _ => vec![left(cell), right(cell)],
                })
                .collect()
        };
        let width = cells.iter().map(|cell| cell.at.0 + cell.size.0).fold(0.0, f64::max);
        let height = cells.iter().map(|cell| cell.at.1 + cell.size.1).fold(0.0, f64::max);
        Layout {
            boxes: cells.iter().take(self.sizes.len()).map(|cell| cell.at).collect(),
            lines: paths.iter().map(points).collect(),
            back,
            size: (width, height),
        }
    }
}

impl Cell {
    fn new(size: (f64, f64), layer: usize) -> Self {
        Self { size, layer, before: Vec::new(), after: Vec::new(), at: (0.0, 0.0) }
    }

    fn middle(&self) -> f64 {
        self.at.1 + self.size.1 / 2.0
    }
}

/// The layer of each box: one behind the last that feeds it.
fn layers_of(boxes: usize, lines: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = vec![0; boxes];
    for _ in 0..boxes {
        for (from, to) in lines {
            let behind = layers.get(*from).map_or(0, |layer| layer + 1);
            layers.iter_mut().skip(*to).take(1).for_each(|layer: &mut usize| *layer = behind.max(*layer));
        }
    }
    layers
}

/// Makes the waypoints of a line, and links the cells that it leads over.
fn chain(cells: &mut Vec<Cell>, (from, to): (usize, usize)) -> Vec<usize> {
    let layer = |cells: &[Cell], at: usize| cells.get(at).map_or(0, |cell| cell.layer);
    let mut path = vec![from];
    for layer in layer(cells, from) + 1..layer(cells, to) {
        path.push(cells.len());
        cells.push(Cell::new((0.0, 0.0), layer));
    }
    path.push(to);
    for (one, next) in path.iter().zip(path.iter().skip(1)) {
        cells.iter_mut().skip(*one).take(1).for_each(|cell| cell.after.push(*next));
        cells.iter_mut().skip(*next).take(1).for_each(|cell| cell.before.push(*one));
    }
    path
}

/// The cells of each layer.
fn rows_of(cells: &[Cell]) -> Vec<Vec<usize>> {
    let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, cell) in cells.iter().enumerate() {
        rows.entry(cell.layer).or_default().push(at);
    }
    rows.into_values().collect()
}

/// Orders each layer by the middle of the neighbours, forth and back.
fn order(rows: &mut [Vec<usize>], cells: &mut [Cell]) {
    number(rows, cells);
    for sweep in 0..SWEEPS {
        let forth = sweep % 2 == 0;
        for step in 0..rows.len() {
            let at = if forth { step } else { rows.len() - 1 - step };
            let Some(row) = rows.get_mut(at) else { continue };
            row.sort_by(|one, other| wish(cells, *one, forth).total_cmp(&wish(cells, *other, forth)));
            number(rows, cells);
        }
    }
}

/// Notes each cell's number in its layer as its height.
fn number(rows: &[Vec<usize>], cells: &mut [Cell]) {
    for row in rows {
        for (number, at) in row.iter().enumerate() {
            cells.iter_mut().skip(*at).take(1).for_each(|cell| cell.at.1 = number as f64);
        }
    }
}

/// The middle of a cell's neighbours on one side; where it is if it has none there.
fn wish(cells: &[Cell], at: usize, forth: bool) -> f64 {
    let Some(cell) = cells.get(at) else { return 0.0 };
    let neighbours = if forth { &cell.before } else { &cell.after };
    let middles: Vec<f64> = neighbours.iter().filter_map(|at| cells.get(*at)).map(Cell::middle).collect();
    if middles.is_empty() { cell.middle() } else { middles.iter().sum::<f64>() / middles.len() as f64 }
}

/// Gives each cell its place: layers side by side, cells as near to their neighbours as the others leave room.
fn place(rows: &[Vec<usize>], cells: &mut [Cell]) {
    let mut x = 0.0;
    for row in rows {
        let width = row.iter().filter_map(|at| cells.get(*at)).map(|cell| cell.size.0).fold(0.0, f64::max);
        let mut y = 0.0;
        for at in row {
            let Some(cell) = cells.get_mut(*at) else { continue };
            cell.at = (x, y);
            // A line that only passes takes the whole layer's width; one from a box begins at the box.
            cell.size.0 = if cell.size.0 > 0.0 { cell.size.0 } else { width };
            y += cell.size.1 + GAP.1;
        }
        x += width + GAP.0;
    }
    for forth in [true, false, true] {
        for step in 0..rows.len() {
            let at = if forth { step } else { rows.len() - 1 - step };
            let mut free = f64::MIN;
            for at in rows.get(at).into_iter().flatten() {
                let wished = wish(cells, *at, forth);
                let Some(cell) = cells.get_mut(*at) else { continue };
                cell.at.1 = (wished - cell.size.1 / 2.0).max(free);
                free = cell.at.1 + cell.size.1 + GAP.1;
            }
        }
    }
    let top = cells.iter().map(|cell| cell.at.1).fold(f64::MAX, f64::min);
    cells.iter_mut().for_each(|cell| cell.at.1 -= top);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(boxes: usize, lines: &[(usize, usize)]) -> Layout {
        Drawing { sizes: vec![(100.0, 40.0); boxes], lines: lines.to_vec() }.layout()
    }

    fn crossings(layout: &Layout) -> usize {
        let ends = |line: &Vec<(f64, f64)>| (line[0], line[line.len() - 1]);
        let all: Vec<_> = layout.lines.iter().map(ends).collect();
        let crosses = |(a, b): &((f64, f64), (f64, f64)), (c, d): &((f64, f64), (f64, f64))| {
            a.0 == c.0 && b.0 == d.0 && (a.1 - c.1) * (b.1 - d.1) < 0.0
        };
        all.iter().enumerate().map(|(at, one)| all[at..].iter().filter(|other| crosses(one, other)).count()).sum()
    }

    #[test]
    fn what_is_fed_stands_right_of_what_feeds_it_and_no_boxes_overlap() {
        let cases: [(usize, &[(usize, usize)]); 5] = [
            (1, &[]),
            (4, &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)]),
            (6, &[(0, 1), (1, 2), (2, 3), (0, 4), (0, 5), (5, 3)]),
            (3, &[(0, 1), (1, 2), (2, 1)]),
            (2, &[(0, 1), (1, 0), (1, 1)]),
        ];
        for (boxes, lines) in cases {
            let layout = drawing(boxes, lines);
            for ((from, to), back) in lines.iter().zip(&layout.back) {
                assert!(*back || layout.boxes[*from].0 + 100.0 < layout.boxes[*to].0, "{lines:?}: {from} {to}");
            }
            for (at, one) in layout.boxes.iter().enumerate() {
                assert!(
                    one.0 >= 0.0 && one.1 >= 0.0 && one.0 + 100.0 <= layout.size.0 && one.1 + 40.0 <= layout.size.1
                );
                for other in &layout.boxes[at + 1..] {
                    assert!(one.0 != other.0 || (one.1 - other.1).abs() >= 40.0, "{lines:?}");
                }
            }
        }
    }

    #[test]
    fn only_lines_that_close_a_circle_run_back() {
        let layout = drawing(4, &[(0, 1), (1, 2), (2, 1), (2, 3), (3, 3)]);
        assert_eq!(layout.back, [false, false, true, false, true]);
    }

    #[test]
    fn a_line_begins_at_its_box_however_wide_the_others_of_its_layer_are() {
        let sizes = vec![(100.0, 40.0), (60.0, 40.0), (200.0, 40.0), (80.0, 40.0)];
        let layout = Drawing { sizes, lines: vec![(0, 1), (0, 2), (1, 3)] }.layout();
        assert_eq!(layout.lines[2][0].0, layout.boxes[1].0 + 60.0);
    }

    #[test]
    fn layers_are_ordered_so_that_lines_need_not_cross() {
        assert_eq!(crossings(&drawing(6, &[(0, 5), (1, 4), (2, 3)])), 0);
    }

    #[test]
    fn a_line_over_several_layers_keeps_clear_of_the_boxes_between() {
        let layout = drawing(3, &[(0, 1), (1, 2), (0, 2)]);
        let (over, middle) = (&layout.lines[2], layout.boxes[1]);
        assert_eq!(over.len(), 4);
        assert!(over[1].1 < middle.1 || over[1].1 > middle.1 + 40.0, "{over:?} {middle:?}");
    }
}
