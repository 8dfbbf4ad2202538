//! Confusion matrix.

use super::short;
use crate::Picture;
use crate::chart::frame::{Frame, WIDTH, not_defined};
use crate::drawing::color::{N_HEAT, Role};
use crate::drawing::font;
use crate::drawing::{Anchor, Text, Weight};
use crate::number::{count, percent, short_count};

/// How many rows of each class were predicted as each.
#[derive(Debug, Clone, Default)]
pub struct ConfusionMatrix {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `counts[truth][predicted]`; a row or cell that is absent counts as zero.
    pub counts: Vec<Vec<u64>>,
}

/// Classes drawn one by one; of more, the smallest are summed up.
const N_CLASSES: usize = 20;
const LABEL_SIZE: f32 = 12.0;

/// Counts and shares of each true class; past 20 classes the smallest ones are one row and column.
pub fn confusion_matrix(matrix: &ConfusionMatrix) -> Picture {
    const NAME: &str = "confusion_matrix";
    const TITLE: &str = "Confusion matrix";
    let (classes, counts) = grouped(matrix);
    let total: u64 = counts.iter().flatten().fold(0, |sum, &n| sum.saturating_add(n));
    if total == 0 {
        return not_defined(NAME, TITLE, "no row was judged");
    }
    let n = classes.len();
    let right: u64 = (0..n).fold(0, |sum, i| sum.saturating_add(counts[i][i]));
    let names: Vec<String> = classes.iter().map(|c| short(c)).collect();
    let description =
        format!("Confusion matrix of {}: {} of {} rows right.", names.join(", "), count(right), count(total));

    let widest = classes.iter().map(|c| font::width(c, LABEL_SIZE, Weight::Regular)).fold(0.0, f32::max);
    let label_width = widest.clamp(40.0, 150.0);
    let left = 20.0 + 24.0 + label_width + 8.0;
    let cell_width = ((WIDTH - 28.0 - left) / n as f32).min(230.0);
    let cell_height = (300.0 / n as f32).clamp(27.0, 120.0);
    let horizontal = widest <= cell_width - 6.0 || cell_width >= 90.0;
    let column_label_height = if horizontal { 18.0 } else { widest.min(110.0) + 6.0 };
    let height = 76.0 + cell_height * n as f32 + column_label_height + 32.0;

    let subtitle = if is_large((cell_width, cell_height)) {
        "rows, and their share of the true class"
    } else {
        "rows, and their share of the true class; an empty cell is zero"
    };
    let mut frame = Frame::new(NAME, TITLE, subtitle, description, height);
    let top = frame.top + 4.0;
    let middle = Anchor::Middle;
    for (truth, row) in counts.iter().enumerate() {
        let y = top + cell_height * truth as f32;
        let of_class: u64 = row.iter().fold(0, |sum, &n| sum.saturating_add(n));
        let label = Text::new((left - 8.0, y + cell_height / 2.0 + 4.0), classes[truth].as_str(), LABEL_SIZE);
        frame.picture.text(label.anchor(Anchor::End).within(label_width));
        for (predicted, &n_rows) in row.iter().enumerate() {
            let share = if of_class == 0 { 0.0 } else { n_rows as f64 / of_class as f64 };
            let corner = (left + cell_width * predicted as f32, y);
            draw_cell(&mut frame, corner, (cell_width, cell_height), n_rows, share, of_class > 0);
        }
    }
    let bottom = top + cell_height * n as f32;
    for (i, class) in classes.iter().enumerate() {
        let x = left + cell_width * (i as f32 + 0.5);
        frame.picture.text(if horizontal {
            Text::new((x, bottom + 16.0), class.as_str(), LABEL_SIZE).anchor(middle).within(cell_width - 6.0)
        } else {
            Text::new((x + 4.0, bottom + 6.0), class.as_str(), LABEL_SIZE).anchor(Anchor::End).upward().within(110.0)
        });
    }
    let center = left + cell_width * n as f32 / 2.0;
    frame.picture.text(Text::new((center, height - 11.0), "predicted class", 13.0).anchor(middle));
    frame.picture.text(Text::new((32.0, (top + bottom) / 2.0), "true class", 13.0).anchor(middle).upward());
    frame.picture
}

fn draw_cell(frame: &mut Frame, (x, y): (f32, f32), (width, height): (f32, f32), n: u64, share: f64, defined: bool) {
    let shade = (share * N_HEAT as f64).floor().clamp(0.0, (N_HEAT - 1) as f64) as usize;
    frame.picture.rect((x + 1.0, y + 1.0), (width - 2.0, height - 2.0), Role::Heat(shade));
    if n == 0 && !is_large((width, height)) {
        return;
    }
    let (center, middle) = (x + width / 2.0, y + height / 2.0);
    let large = is_large((width, height));
    let (count_size, share_size) = if large { (18.0, 12.5) } else { (9.5, 8.5) };
    let long = count(n);
    let fits = font::width(&long, count_size, Weight::Bold) <= width - 8.0;
    let number = if fits { long } else { short_count(n) };
    let share = match (defined, large) {
        (false, _) => "–".to_owned(),
        (true, true) => percent(share),
        (true, false) => format!("{:.0}%", share * 100.0),
    };
    let (up, down) = if large { (2.0, 20.0) } else { (1.5, 9.5) };
    let text =
        |at, text, size| Text::new(at, text, size).anchor(Anchor::Middle).role(Role::OnHeat(shade)).within(width);
    frame.picture.text(text((center, middle - up), number, count_size).bold());
    frame.picture.text(text((center, middle + down), share, share_size));
}

/// Whether a cell has room for an exact count and share; smaller ones stay empty for zero.
fn is_large((width, height): (f32, f32)) -> bool {
    width >= 64.0 && height >= 44.0
}

/// Names and a full square of counts, the smallest classes summed up where there are too many.
fn grouped(matrix: &ConfusionMatrix) -> (Vec<String>, Vec<Vec<u64>>) {
    let n = matrix.classes.len();
    let cell = |i: usize, j: usize| matrix.counts.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    let (names, target) = if n <= N_CLASSES {
        (matrix.classes.clone(), (0..n).collect::<Vec<_>>())
    } else {
        let rows_of = |i: usize| (0..n).fold(0_u64, |sum, j| sum.saturating_add(cell(i, j)));
        let sizes: Vec<u64> = (0..n).map(rows_of).collect();
        let mut by_size: Vec<usize> = (0..n).collect();
        by_size.sort_by_key(|&i| std::cmp::Reverse(sizes[i]));
        let mut kept = by_size[..N_CLASSES - 1].to_vec();
        kept.sort_unstable();
        let mut names: Vec<String> = kept.iter().map(|&i| matrix.classes[i].clone()).collect();
        names.push(format!("{} others", n - kept.len()));
        let place = |i: usize| kept.binary_search(&i).unwrap_or(kept.len());
        (names, (0..n).map(place).collect())
    };
    let mut counts = vec![vec![0_u64; names.len()]; names.len()];
    for i in 0..n {
        for j in 0..n {
            let sum = &mut counts[target[i]][target[j]];
            *sum = sum.saturating_add(cell(i, j));
        }
    }
    (names, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_counts_and_shares_of_the_true_class() {
        let matrix =
            ConfusionMatrix { classes: vec!["attack".into(), "benign".into()], counts: vec![vec![18, 2], vec![3, 21]] };
        let picture = confusion_matrix(&matrix);
        let svg = picture.to_svg();
        // 18 of 20 and 21 of 24.
        for want in ["90.0 %", "10.0 %", "12.5 %", "87.5 %"] {
            assert!(svg.contains(want), "{want}");
        }
        assert_eq!(picture.description(), "Confusion matrix of attack, benign: 39 of 44 rows right.");
    }

    #[test]
    fn the_smallest_of_many_classes_are_summed_up() {
        let n = 25;
        let classes = (0..n).map(|i| format!("c{i}")).collect();
        // Class i has i + 1 rows, all right, so the 19 kept are c6 to c24 and c0 to c5 hold 1 + ... + 6 = 21.
        let counts = (0..n).map(|i| (0..n).map(|j| if i == j { i + 1 } else { 0 }).collect()).collect();
        let (names, counts) = grouped(&ConfusionMatrix { classes, counts });
        assert_eq!((names[0].as_str(), names[19].as_str(), names.len()), ("c6", "6 others", 20));
        assert_eq!((counts[0][0], counts[19][19]), (7, 21));
    }

    #[test]
    fn nothing_judged_is_said() {
        for counts in [vec![], vec![vec![0, 0]], vec![vec![0; 2]; 2]] {
            let matrix = ConfusionMatrix { classes: vec!["a".into(), "b".into()], counts };
            assert_eq!(confusion_matrix(&matrix).description(), "Not defined: no row was judged.");
        }
    }
}
