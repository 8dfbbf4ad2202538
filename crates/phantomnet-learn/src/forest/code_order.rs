//! The order in which the codes of a category are split.
//!
//! It is learned once from all training rows, not anew in each node. A node then cannot fit its few rows by a subset of
//! codes that means nothing elsewhere, and a code that it has not met has a place among those it has met. Source: Wright
//! and König, *Splitting on categorical predictors in random forests*, PeerJ 7:e6339 (2019).

/// More than a direction among a few classes needs; where two directions explain the shares about equally well, either is
/// a good order.
const ITERATIONS: usize = 100;

/// The codes that occur, by their class shares' first principal component; ties by code.
///
/// With two classes this is the order of the share of either class. Source for more classes: Coppersmith, Hong and
/// Hosking, *Partitioning nominal attributes in decision trees* (1999). The component is found by power iteration from the
/// class whose shares vary most.
///
/// - `rows`: code (`None` where missing), class and weight of each training row; codes lie below `n_codes`, at most 256.
pub(super) fn code_order(
    n_codes: usize,
    rows: impl Iterator<Item = (Option<u8>, u16, f32)>,
    class_weights: &[f64],
) -> Vec<u8> {
    let n_classes = class_weights.len();
    let mut sums = vec![0.0; n_codes * n_classes];
    for (code, class, weight) in rows {
        if let Some(code) = code {
            sums[usize::from(code) * n_classes + usize::from(class)] += f64::from(weight);
        }
    }
    let mut codes: Vec<Code> = (0..=u8::MAX)
        .zip(sums.chunks_exact(n_classes))
        .filter(|(_, sums)| sums.iter().any(|&sum| sum > 0.0))
        .map(|(code, sums)| Code::new(code, sums, class_weights))
        .collect();

    let direction = first_component(&mut codes, n_classes);
    for code in &mut codes {
        code.place = dot(&code.shares, &direction);
    }
    codes.sort_by(|a, b| a.place.total_cmp(&b.place));
    codes.iter().map(|code| code.code).collect()
}

/// A code that occurs.
struct Code {
    code: u8,
    weight: f64,
    /// Share of each class in `weight`, less the mean over the codes once that is known.
    shares: Vec<f64>,
    place: f64,
}

impl Code {
    fn new(code: u8, sums: &[f64], class_weights: &[f64]) -> Self {
        let mut shares: Vec<f64> = sums.iter().zip(class_weights).map(|(sum, weight)| sum * weight).collect();
        let weight: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= weight);
        Self { code, weight, shares, place: 0.0 }
    }
}

/// Centres the shares of `codes` and gives the direction in which they vary most; zero if they do not vary.
fn first_component(codes: &mut [Code], n_classes: usize) -> Vec<f64> {
    let weight: f64 = codes.iter().map(|code| code.weight).sum();
    let mut variances = vec![0.0; n_classes];
    for (class, variance) in variances.iter_mut().enumerate() {
        let mean = codes.iter().map(|code| code.weight * code.shares[class]).sum::<f64>() / weight;
        for code in codes.iter_mut() {
            code.shares[class] -= mean;
            *variance += code.weight * code.shares[class] * code.shares[class];
        }
    }
    let varied_most =
        (1..n_classes).fold(0, |best, class| if variances[class] > variances[best] { class } else { best });
    let mut direction = vec![0.0; n_classes];
    direction[varied_most] = 1.0;
    for _ in 0..ITERATIONS {
        let mut next = vec![0.0; n_classes];
        for code in codes.iter() {
            let scale = code.weight * dot(&code.shares, &direction);
            next.iter_mut().zip(&code.shares).for_each(|(x, share)| *x += scale * share);
        }
        let norm = dot(&next, &next).sqrt();
        if norm == 0.0 {
            return next;
        }
        direction = next.into_iter().map(|x| x / norm).collect();
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// Rows of code `k` and class `c`: `counts[k][c]`.
    fn order<const C: usize>(counts: &[[u32; C]], class_weights: [f64; C]) -> Vec<u8> {
        let repeated = cells(counts).flat_map(|(code, class, n)| std::iter::repeat_n((code, class, 1.0), n as usize));
        let order = code_order(counts.len(), repeated.chain([(None, 0, 1.0)]), &class_weights);
        let weighted = cells(counts).map(|(code, class, n)| (code, class, n as f32));
        assert_eq!(code_order(counts.len(), weighted, &class_weights), order, "weights are repetitions");
        order
    }

    fn cells<const C: usize>(counts: &[[u32; C]]) -> impl Iterator<Item = (Option<u8>, u16, u32)> {
        (0u8..)
            .zip(counts)
            .flat_map(|(code, counts)| (0u16..).zip(counts).map(move |(class, &n)| (Some(code), class, n)))
    }

    #[rstest]
    // Shares of class 0: 0.75, none, 0.25, 0.5, 0.5. Code 1 does not occur.
    #[case(&[[3, 1], [0, 0], [1, 3], [1, 1], [2, 2]], &[0, 3, 4, 2])]
    #[case(&[[1, 9], [9, 1], [5, 5]], &[0, 2, 1])]
    // All alike: by code.
    #[case(&[[1, 3], [2, 6], [1, 3]], &[0, 1, 2])]
    #[case(&[[0, 0], [4, 0]], &[1])]
    #[case(&[[0, 0]], &[])]
    fn two_classes_are_ordered_by_share(#[case] counts: &[[u32; 2]], #[case] expected: &[u8]) {
        // Which end comes first says nothing.
        for class_weights in [[1.0, 1.0], [1.0, 7.5]] {
            let order = order(counts, class_weights);
            let is_reversed = order.first() != expected.first();
            let shares = |order: &[u8]| -> Vec<f64> {
                order.iter().map(|&code| counts[code as usize]).map(|[a, b]| f64::from(a) / f64::from(a + b)).collect()
            };
            let (mut found, expected) = (shares(&order), shares(expected));
            if is_reversed {
                found.reverse();
            }
            assert_eq!(found, expected, "{order:?}");
        }
    }

    #[test]
    fn more_classes_are_ordered_along_the_widest_direction() {
        // Classes 1 and 2 change places from code to code, class 0 has half of each: its share tells nothing.
        let counts = [[10, 7, 3], [10, 0, 10], [10, 10, 0], [10, 2, 8]];
        let mut order = order(&counts, [1.0; 3]);
        if order[0] == 2 {
            order.reverse();
        }
        assert_eq!(order, [1, 3, 0, 2]);
    }

    proptest! {
        #[test]
        fn every_code_that_occurs_has_one_place(
            counts in prop::collection::vec(prop::array::uniform4(0u32..5), 1..20),
            class_weights in prop::array::uniform4(0.1f64..10.0),
        ) {
            let mut order = order(&counts, class_weights);
            order.sort_unstable();
            let met = (0u8..).zip(&counts).filter(|(_, counts)| counts.iter().sum::<u32>() > 0);
            prop_assert_eq!(order, met.map(|(code, _)| code).collect::<Vec<_>>());
        }
    }
}
