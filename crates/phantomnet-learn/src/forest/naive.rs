//! The same forests by the plainest means: what tests hold the engine against, and what benchmarks compare it with.
//!
//! No bins, no histograms, no packed tallies: a node sorts the values of each feature that it draws, and divides its rows by
//! the split as the model writes it. What is shared with the engine is what both are given: the bootstrap, the orders of codes,
//! the keys of nodes. Where no number has more than `max_bins` distinct values the two forests are the same, node for node and
//! bit for bit; where one has, this one splits it exactly.

mod cut;

use std::sync::atomic::Ordering;

use phantomnet_model::{CategorySet, Dataset, FeatureKind, Forest, Node, Test, Tree, leaf_probabilities, tree_units};
use rayon::prelude::*;

use self::cut::{Cut, Scale, Value, best_cut, purity};
use super::bag::{Bag, rows_with_weight, whole_units};
use super::binning::{Values, threshold_between};
use super::code_order::code_order;
use super::fit::{importances, normalise, thread_pool};
use super::groups::CodeOrder;
use super::grower::Grown;
use super::params::{ForestKind, ForestLearner};
use crate::rng::{Rng, SplitMix};
use crate::{ClassWeight, Fit, FitContext, LearnError};

impl ForestLearner {
    /// As [`fit`](crate::Learner::fit), but each number is split exactly, however many values it has.
    ///
    /// Slow: O(rows · log rows) a node and feature. Tells no progress and does not judge the rows that trees have not seen.
    ///
    /// # Errors
    /// As [`fit`](crate::Learner::fit).
    pub fn fit_exact(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        let (trees, importances) = self.grow_exact(data, rows, cx)?;
        let forest = Forest::new(data.n_features(), data.classes().len(), trees).map_err(LearnError::Model)?;
        Ok(Fit { model: Box::new(forest), importances: Some(importances), oob: None, warnings: Vec::new() })
    }

    /// The trees, and the mean of their importances.
    pub(super) fn grow_exact(
        &self,
        data: &Dataset,
        rows: &[u32],
        cx: &mut FitContext<'_>,
    ) -> Result<(Vec<Tree>, Vec<f64>), LearnError> {
        self.check_ranges()?;
        let rows = rows_with_weight(data, rows);
        let class_counts = cx.class_counts(data, &rows)?;
        self.check_for(data, rows.len())?;
        let class_weights = self.class_weight.resolve(&data.classes().names, &class_counts)?;
        let classes: Vec<u16> = rows.iter().map(|&row| data.labels()[row as usize] as u16).collect();
        let weights = data.weights().map(|weights| rows.iter().map(|&row| weights[row as usize]).collect::<Vec<_>>());
        let bag =
            Bag { classes: &classes, weights: weights.as_deref().map(whole_units), n_drawn: self.n_drawn(rows.len())? };
        let pool = thread_pool(cx.n_threads())?;
        let values: Vec<Values> = pool.install(|| {
            (0..data.n_features())
                .into_par_iter()
                .map(|j| values_of(data, &rows, j, &classes, &class_weights))
                .collect()
        });
        let orders = self.code_orders(&values);
        let max_features = self.max_features.resolve(data.n_features())?;
        let stop = cx.stop();

        let grow = |tree: usize| {
            let mut rng = Rng::new(self.seed).fork(tree as u64);
            let is_wanted = || !stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            let mut counts = vec![0; rows.len()];
            bag.counts(&mut rng, &mut counts, is_wanted)?;
            let mut samples = Vec::new();
            bag.samples(&counts, &mut samples);
            let items = samples.iter().map(|sample| Item {
                row: rows[sample.row()],
                class: sample.class() as usize,
                weight: sample.add() >> (32 * (sample.class() % 2)),
            });
            let class_weights = match self.class_weight {
                ClassWeight::BalancedSubsample => {
                    let drawn_of = |class: usize| {
                        let of_class = classes.iter().zip(&counts).filter(|&(&other, _)| usize::from(other) == class);
                        of_class.map(|(_, &n)| u64::from(n)).sum()
                    };
                    ClassWeight::balanced(&(0..class_counts.len()).map(drawn_of).collect::<Vec<u64>>())
                }
                _ => class_weights.clone(),
            };
            let grower = Exact {
                learner: self,
                data,
                values: &values,
                orders: &orders[tree % orders.len()],
                scale: Scale { criterion: self.criterion, class_weights },
                max_features,
                units: tree_units(tree, self.n_estimators),
            };
            grower.grow(rng.next_u64(), items.collect(), is_wanted)
        };
        let grown: Option<Vec<Grown>> = pool.install(|| (0..self.n_estimators).into_par_iter().map(grow).collect());
        let grown = grown.ok_or(LearnError::Stopped)?;
        let mut mean = vec![0.0; data.n_features()];
        for tree in &grown {
            mean.iter_mut().zip(importances(tree, data.n_features())).for_each(|(sum, x)| *sum += x);
        }
        normalise(&mut mean);
        Ok((grown.into_iter().map(Grown::into_tree).collect(), mean))
    }
}

/// Every value of a feature as if it were a bin.
fn values_of(data: &Dataset, rows: &[u32], j: usize, classes: &[u16], class_weights: &[f64]) -> Values {
    let column = data.column(j);
    if let FeatureKind::Category { dictionary } = &data.schema().features()[j].kind {
        let of_row = |(&row, &class): (&u32, &u16)| {
            let x = column[row as usize];
            ((!x.is_nan()).then_some(x as u8), class, data.weights().map_or(1.0, |weights| weights[row as usize]))
        };
        return Values::Codes(code_order(dictionary.n_codes(), rows.iter().zip(classes).map(of_row), class_weights));
    }
    let mut values: Vec<f32> = rows.iter().map(|&row| column[row as usize]).filter(|x| !x.is_nan()).collect();
    values.sort_by(f32::total_cmp);
    // Compares the two zeros as equal.
    values.dedup();
    let cuts = values.windows(2).map(|pair| threshold_between(pair[0], pair[1])).collect();
    Values::Numbers { lower: values.clone(), upper: values, cuts }
}

/// A training row in a tree.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// Row of the dataset.
    row: u32,
    class: usize,
    weight: u64,
}

/// A node that will be split, unless the tree has leaves enough before.
struct Open {
    node: usize,
    depth: usize,
    key: u64,
    items: Vec<Item>,
    cut: Cut,
    decrease: f64,
}

/// Grows one tree.
struct Exact<'a> {
    learner: &'a ForestLearner,
    data: &'a Dataset,
    values: &'a [Values],
    orders: &'a [Option<CodeOrder>],
    scale: Scale,
    max_features: usize,
    units: u32,
}

impl Exact<'_> {
    fn grow(&self, key: u64, items: Vec<Item>, is_wanted: impl Fn() -> bool) -> Option<Grown> {
        let weight: f64 = self.weights(&items).iter().sum();
        let min_decrease = self.learner.min_impurity_decrease * weight;
        let mut grown = Grown { nodes: vec![Node::Leaf(0)], ..Grown::default() };
        let mut open = Vec::new();
        self.place(0, 0, key, items, min_decrease, &mut open, &mut grown);
        let mut n_leaves = 1;
        while n_leaves < self.learner.max_leaf_nodes.unwrap_or(usize::MAX) {
            let next = match self.learner.max_leaf_nodes {
                None => open.len().checked_sub(1),
                Some(_) => (0..open.len()).reduce(|best, i| {
                    let (a, b): (&Open, &Open) = (&open[best], &open[i]);
                    if (b.decrease, a.node) > (a.decrease, b.node) { i } else { best }
                }),
            };
            let Some(next) = next else { break };
            is_wanted().then_some(())?;
            let Open { node, depth, key, items, cut, decrease } = open.swap_remove(next);
            let children = grown.nodes.len();
            let split = self.split(&cut, children as u32);
            let goes_left = |item: &Item| goes_left(&split, self.data.column(cut.feature)[item.row as usize]);
            let (left, right) = items.into_iter().partition(goes_left);
            grown.nodes[node] = split;
            grown.nodes.extend([Node::Leaf(0); 2]);
            grown.decreases.push((cut.feature as u32, decrease));
            let [left_key, right_key] = SplitMix::children(key);
            self.place(children + 1, depth + 1, right_key, right, min_decrease, &mut open, &mut grown);
            self.place(children, depth + 1, left_key, left, min_decrease, &mut open, &mut grown);
            n_leaves += 1;
        }
        for rest in open {
            self.push_leaf(rest.node, &rest.items, &mut grown);
        }
        Some(grown)
    }

    /// Makes a node a leaf, or opens it if there is a split for it.
    #[expect(clippy::too_many_arguments, reason = "the parts of an open node, and where it goes")]
    fn place(
        &self,
        node: usize,
        depth: usize,
        key: u64,
        items: Vec<Item>,
        min_decrease: f64,
        open: &mut Vec<Open>,
        grown: &mut Grown,
    ) {
        let learner = self.learner;
        let is_pure = items.windows(2).all(|pair| pair[0].class == pair[1].class);
        let may_split =
            depth < learner.max_depth.unwrap_or(usize::MAX) && items.len() >= learner.min_samples_split && !is_pure;
        let cut = if may_split { self.draw_cut(key, &items) } else { None };
        let cut = cut.map(|cut| {
            let of_node = self.scale.weights(&cut.left.plus(&cut.right));
            let [left, right] = [&cut.left, &cut.right].map(|side| self.scale.weights(side));
            let purity = |weights: &[f64]| purity(learner.criterion, weights);
            let decrease = (purity(&left) + purity(&right) - purity(&of_node)).max(0.0);
            (cut, decrease)
        });
        match cut {
            Some((cut, decrease)) if decrease >= min_decrease => {
                open.push(Open { node, depth, key, items, cut, decrease });
            }
            _ => self.push_leaf(node, &items, grown),
        }
    }

    /// The best cut among the features drawn.
    fn draw_cut(&self, key: u64, items: &[Item]) -> Option<Cut> {
        let n_features = self.data.n_features();
        let mut features: Vec<usize> = (0..n_features).collect();
        let mut rng = SplitMix::new(key);
        let mut best: Option<Cut> = None;
        for n_drawn in 0..n_features {
            if n_drawn >= self.max_features && best.is_some() {
                break;
            }
            features.swap(n_drawn, n_drawn + rng.below((n_features - n_drawn) as u64) as usize);
            let feature = features[n_drawn];
            let column = self.data.column(feature);
            let values = items
                .iter()
                .map(|item| Value {
                    place: self.place_of(feature, column[item.row as usize]),
                    class: item.class,
                    weight: item.weight,
                })
                .collect();
            let is_random = self.learner.kind == ForestKind::ExtraTrees;
            let draws = is_random.then(|| (&self.values[feature], SplitMix::of_feature(key, feature as u32)));
            let cut = best_cut(feature, values, &self.scale, self.learner.min_samples_leaf, draws);
            let is_better = |cut: &Cut| {
                best.as_ref().is_none_or(|best| {
                    cut.score > best.score || (cut.score == best.score && cut.feature < best.feature)
                })
            };
            if let Some(cut) = cut.filter(is_better) {
                best = Some(cut);
            }
        }
        best
    }

    /// Where a value stands among those of the training rows; `None` if it is missing.
    fn place_of(&self, feature: usize, x: f32) -> Option<usize> {
        if x.is_nan() {
            return None;
        }
        match &self.values[feature] {
            Values::Numbers { upper, .. } => Some(upper.partition_point(|&value| value < x)),
            Values::Codes(_) => self.codes(feature).iter().position(|codes| codes.contains(&(x as u8))),
        }
    }

    /// The codes at each place of a category's order.
    fn codes(&self, feature: usize) -> Vec<&[u8]> {
        let order = self.orders[feature].iter().flat_map(|order| &order.bins);
        order.map(|&bin| self.values[feature].codes_of(bin)).collect()
    }

    /// The split that a cut becomes; its children stand at `left` and after.
    fn split(&self, cut: &Cut, left: u32) -> Node {
        let [of_left, of_right] = [&cut.left, &cut.right].map(|side| self.scale.weights(side).iter().sum::<f64>());
        let (test, missing_left) = match (&self.values[cut.feature], cut.next) {
            (_, None) => (Test::AtMost(f32::INFINITY), false),
            (Values::Numbers { upper, cuts, .. }, Some(next)) => {
                let at = cut.at.unwrap_or_else(|| threshold_between(upper[cut.last], upper[next]));
                let threshold = nearest(&cuts[cut.last..next], at);
                (Test::AtMost(threshold), if cut.has_missing { cut.with_missing } else { of_left >= of_right })
            }
            (Values::Codes(_), Some(next)) => {
                let middle = cut.last + (next - cut.last) / 2;
                let prefix_left = of_left <= of_right;
                let mut set = CategorySet::default();
                for (place, codes) in self.codes(cut.feature).into_iter().enumerate() {
                    if (place <= middle) == prefix_left {
                        codes.iter().for_each(|&code| set.insert(code));
                    }
                }
                let missing_left = if cut.has_missing { cut.with_missing == prefix_left } else { of_left == of_right };
                (Test::In(set), missing_left)
            }
        };
        Node::Split { feature: cut.feature as u32, test, missing_left, left, right: left + 1 }
    }

    fn weights(&self, items: &[Item]) -> Vec<f64> {
        let weight = |(class, weight): (usize, &f64)| {
            let of_class = items.iter().filter(|item| item.class == class);
            of_class.map(|item| item.weight).sum::<u64>() as f64 * weight
        };
        self.scale.class_weights.iter().enumerate().map(weight).collect()
    }

    fn push_leaf(&self, node: usize, items: &[Item], grown: &mut Grown) {
        grown.nodes[node] = Node::Leaf((grown.leaves.len() / self.scale.class_weights.len()) as u32);
        leaf_probabilities(&self.weights(items), self.units, &mut grown.leaves);
    }
}

/// Of the last number below `at` and the first that is not, which is one of them at least, the nearer one; of two the former.
fn nearest(cuts: &[f32], at: f32) -> f32 {
    let below = cuts.iter().copied().rfind(|&cut| cut < at);
    let above = cuts.iter().copied().find(|&cut| cut >= at);
    let distance = |cut: f32| (f64::from(cut) - f64::from(at)).abs();
    match (below, above) {
        (Some(below), Some(above)) => {
            if distance(above) < distance(below) {
                above
            } else {
                below
            }
        }
        (below, above) => below.or(above).unwrap_or(at),
    }
}

/// Whether a row with this value goes to the left child of a split.
fn goes_left(node: &Node, x: f32) -> bool {
    match node {
        Node::Split { missing_left, .. } if x.is_nan() => *missing_left,
        Node::Split { test: Test::AtMost(threshold), .. } => x <= *threshold,
        Node::Split { test: Test::In(set), .. } => set.contains(x as u8),
        Node::Leaf(_) => false,
    }
}
