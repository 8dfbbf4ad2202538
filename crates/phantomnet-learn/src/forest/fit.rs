//! From a dataset to a forest: what all trees share, and the threads that grow them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use phantomnet_model::{Dataset, Forest, Model, Node, Tree, leaf_probabilities, tree_units};

use super::bag::{Bag, MAX_CLASSES, Sample, rows_with_weight, whole_units};
use super::binning::{Binned, Values};
use super::bytes::Bytes;
use super::groups::CodeOrder;
use super::grower::{Grower, Grown, Limits, Workshop};
use super::oob::{OutOfBag, Votes};
use super::params::{CategoryOrder, ForestKind, ForestLearner};
use super::tally::Layout;
use crate::rng::Rng;
use crate::{ClassWeight, FitContext, LearnError, Progress};

/// A forest and what was found out on the way.
pub(super) struct Fitted {
    pub(super) forest: Forest,
    /// Mean over the trees of the share of impurity that the splits by each feature took away.
    pub(super) importances: Vec<f64>,
    pub(super) oob: Option<OutOfBag>,
}

/// What all trees of a forest share.
struct Shared<'a> {
    learner: &'a ForestLearner,
    data: &'a Dataset,
    binned: &'a Binned,
    bag: Bag<'a>,
    limits: Limits,
    layout: Layout,
    class_weights: Vec<f64>,
    /// Order of each category's codes, `None` for numbers; trees take them in turn.
    orders: Vec<Vec<Option<CodeOrder>>>,
    /// Needs the training rows, ascending.
    votes: Option<(Votes, Vec<u32>)>,
    /// Trees of a kept forest, which come first.
    n_kept: usize,
}

/// Memory that the benches of a fit take together, if that is enough for one.
const BENCH_BYTES: usize = 256 << 20;

/// What is kept from tree to tree; as many trees grow at once as there are benches.
struct Bench {
    /// How often the tree has each training row.
    counts: Bytes,
    samples: [Vec<Sample>; 2],
    workshop: Workshop,
}

impl ForestLearner {
    /// - `kept`: a forest whose trees come first.
    pub(super) fn fit_forest(
        &self,
        data: &Dataset,
        rows: &[u32],
        kept: Option<&Forest>,
        cx: &mut FitContext<'_>,
    ) -> Result<Fitted, LearnError> {
        self.check_ranges()?;
        // The bootstrap draws places among the rows: sorted, they do not depend on the caller's order.
        let mut rows = rows_with_weight(data, rows);
        let class_counts = cx.class_counts(data, &rows)?;
        self.check_for(data, rows.len())?;
        kept.map_or(Ok(()), |kept| self.check_kept(kept, data))?;
        let (n_classes, n_features) = (class_counts.len(), data.n_features());
        let class_weights = self.class_weight.resolve(&data.classes().names, &class_counts)?;

        let classes: Vec<u16> = rows.iter().map(|&row| data.labels()[row as usize] as u16).collect();
        let weights = data.weights().map(|weights| rows.iter().map(|&row| weights[row as usize]).collect::<Vec<_>>());
        let pool = thread_pool(cx.n_threads())?;
        let stop = cx.stop();
        let is_wanted = || !stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        let binned = pool.install(|| Binned::new(data, &rows, &classes, &class_weights, self.max_bins, is_wanted));
        let binned = binned.ok_or(LearnError::Stopped)?;

        let shared = Shared {
            learner: self,
            data,
            binned: &binned,
            bag: Bag {
                classes: &classes,
                weights: weights.as_deref().map(whole_units),
                n_drawn: self.n_drawn(rows.len())?,
            },
            limits: Limits {
                criterion: self.criterion,
                random_cuts: self.kind == ForestKind::ExtraTrees,
                max_features: self.max_features.resolve(n_features)?,
                max_depth: self.max_depth.unwrap_or(usize::MAX),
                min_samples_split: self.min_samples_split,
                min_samples_leaf: self.min_samples_leaf,
                max_leaf_nodes: self.max_leaf_nodes,
                min_impurity_decrease: self.min_impurity_decrease,
            },
            layout: Layout::new(n_classes, self.min_samples_leaf > 1),
            class_weights,
            orders: self.code_orders(&binned.values),
            votes: self.oob_score.then(|| (Votes::new(rows.len(), n_classes), std::mem::take(&mut rows))),
            n_kept: kept.map_or(0, Forest::n_trees),
        };
        drop(rows);
        let (grown, importances) = self.grow_trees(&shared, &pool, cx)?;
        let total = self.n_estimators;
        let kept = kept.into_iter().flat_map(Forest::trees).enumerate();
        let kept = kept.map(|(i, tree)| share_out_again(&tree, tree_units(i, total), n_classes));
        let forest = Forest::new(n_features, n_classes, kept.chain(grown).collect()).map_err(LearnError::Model)?;
        let oob = shared.votes.map(|(votes, rows)| votes.judge(&rows, &classes));
        Ok(Fitted { forest, importances, oob })
    }

    /// Checks the hyperparameters against data of so many training rows.
    pub(super) fn check_for(&self, data: &Dataset, n_rows: usize) -> Result<(), LearnError> {
        let n_classes = data.classes().len();
        if n_classes > MAX_CLASSES {
            return Err(LearnError::TooManyClasses { n_classes, max: MAX_CLASSES });
        }
        self.max_features.resolve(data.n_features())?;
        self.n_drawn(n_rows)?;
        self.class_weight.resolve(&data.classes().names, &vec![1; n_classes]).map(drop)
    }

    /// Checks that a forest can be kept.
    fn check_kept(&self, kept: &Forest, data: &Dataset) -> Result<(), LearnError> {
        let kept_trees = kept.n_trees();
        if self.n_estimators < kept_trees {
            let expected = format!("at least the {kept_trees} trees of the forest to be kept");
            return Err(LearnError::Param { name: "n_estimators", expected, got: self.n_estimators.to_string() });
        }
        for (what, kept, got) in
            [("features", kept.n_features(), data.n_features()), ("classes", kept.n_classes(), data.classes().len())]
        {
            if kept != got {
                return Err(LearnError::Kept { what, kept, got });
            }
        }
        Ok(())
    }

    /// The orders of codes that the trees take in turn.
    pub(super) fn code_orders(&self, values: &[Values]) -> Vec<Vec<Option<CodeOrder>>> {
        /// A fitted forest keeps a table for each order of each category; so many in all it walks at full speed.
        const N_TABLES: usize = 48;
        /// Enough to make trees differ.
        const MIN_ORDERS: usize = 4;

        let n_categories = values.iter().filter(|values| matches!(values, Values::Codes(_))).count();
        let n_orders = match self.category_order {
            CategoryOrder::Target => 1,
            CategoryOrder::Blurred => (N_TABLES / n_categories.max(1)).max(MIN_ORDERS),
        };
        // Streams of trees are numbered from 0.
        let mut rng = Rng::new(self.seed).fork(u64::MAX);
        (0..n_orders)
            .map(|_| values.iter().map(|values| code_order(values, self.category_order, &mut rng)).collect())
            .collect()
    }

    /// Grows the trees that are not kept and gives them in order, with the mean of their importances.
    fn grow_trees(
        &self,
        shared: &Shared<'_>,
        pool: &rayon::ThreadPool,
        cx: &mut FitContext<'_>,
    ) -> Result<(Vec<Tree>, Vec<f64>), LearnError> {
        let total = self.n_estimators - shared.n_kept;
        let (stop, is_abandoned) = (cx.stop(), AtomicBool::new(false));
        let is_wanted = || {
            let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
            !is_set(&is_abandoned) && !stop.is_some_and(is_set)
        };
        let n_threads = pool.current_num_threads();
        let n_benches = n_threads.min(total).min(BENCH_BYTES / shared.bag.n_bytes().max(1)).max(1);
        // With many trees to a thread, and a bench for each, all threads are busy to the end.
        let forks = total < 4 * n_threads || n_benches < n_threads;
        let next = AtomicUsize::new(0);
        let grow = |tree: usize, bench: &mut Bench| {
            let grown = shared.grow(shared.n_kept + tree, bench, forks, &is_wanted)?;
            let importances = importances(&grown, shared.data.n_features());
            Some((grown.into_tree(), importances))
        };

        let mut grown = Vec::new();
        grown.resize_with(total, || None);
        let (sender, receiver) = mpsc::channel();
        // The trees grow in the pool while this thread, which alone may call back, waits for them.
        pool.in_place_scope(|scope| {
            for _ in 0..n_benches {
                let (sender, grow, next) = (sender.clone(), &grow, &next);
                scope.spawn(move |_| {
                    let mut bench = shared.bench();
                    loop {
                        let tree = next.fetch_add(1, Ordering::Relaxed);
                        if tree >= total {
                            break;
                        }
                        let Some(grown) = grow(tree, &mut bench) else { break };
                        // Nobody listens once the fit is abandoned.
                        sender.send((tree, grown)).ok();
                    }
                });
            }
            drop(sender);
            for (done, (tree, result)) in (1..).zip(&receiver) {
                grown[tree] = Some(result);
                cx.report(Progress::Trees { done, total })
                    .inspect_err(|_| is_abandoned.store(true, Ordering::Relaxed))?;
            }
            Ok(())
        })?;

        let mut trees = Vec::with_capacity(total);
        let mut mean = vec![0.0; shared.data.n_features()];
        for grown in grown {
            let (tree, importances) = grown.ok_or(LearnError::Stopped)?;
            mean.iter_mut().zip(importances).for_each(|(sum, x)| *sum += x);
            trees.push(tree);
        }
        normalise(&mut mean);
        Ok((trees, mean))
    }
}

impl Shared<'_> {
    fn bench(&self) -> Bench {
        let workshop = Workshop::new(self.data.n_features(), self.layout, self.limits.min_samples_leaf);
        Bench { counts: Bytes::zero(self.bag.classes.len()), samples: [Vec::new(), Vec::new()], workshop }
    }

    /// Grows the tree numbered `tree`; `None` once `is_wanted` says no.
    fn grow(
        &self,
        tree: usize,
        bench: &mut Bench,
        forks: bool,
        is_wanted: &(dyn Fn() -> bool + Sync),
    ) -> Option<Grown> {
        let mut rng = Rng::new(self.learner.seed).fork(tree as u64);
        self.bag.counts(&mut rng, &mut bench.counts, is_wanted)?;
        let [first, second] = &mut bench.samples;
        self.bag.samples(&bench.counts, first);
        second.reserve_exact(first.capacity().saturating_sub(second.len()));
        second.resize(first.len(), Sample::NONE);
        let orders = &self.orders[tree % self.orders.len()];
        let of_subsample;
        let class_weights = match self.learner.class_weight {
            ClassWeight::BalancedSubsample => {
                let mut drawn = vec![0; self.layout.n_classes];
                for (&class, &n) in self.bag.classes.iter().zip(bench.counts.iter()) {
                    drawn[class as usize] += u64::from(n);
                }
                of_subsample = ClassWeight::balanced(&drawn);
                &of_subsample
            }
            _ => &self.class_weights,
        };
        let grower = Grower {
            limits: &self.limits,
            layout: self.layout,
            binned: self.binned,
            orders,
            class_weights,
            units: tree_units(tree, self.learner.n_estimators),
            forks,
            is_wanted,
        };
        let grown = grower.grow(rng.next_u64(), [first, second], &mut bench.workshop)?;
        if let Some((votes, rows)) = &self.votes {
            votes.count(&grown, self.data, rows, &bench.counts);
        }
        Some(grown)
    }
}

/// The order of a category's codes in a tree; `None` for a number.
fn code_order(values: &Values, order: CategoryOrder, rng: &mut Rng) -> Option<CodeOrder> {
    let Values::Codes(_) = values else { return None };
    let mut bins: Vec<u8> = (0..values.n_bins()).map(|bin| bin as u8).collect();
    if order == CategoryOrder::Blurred {
        // Whole numbers, so that no rounding can make two machines differ.
        let n = bins.len() as u64;
        let mut places: Vec<(u64, u8)> =
            bins.iter().map(|&bin| ((u64::from(bin) << 20) + rng.below(n << 21), bin)).collect();
        places.sort_unstable();
        bins = places.into_iter().map(|(_, bin)| bin).collect();
    }
    Some(CodeOrder::new(bins))
}

/// A tree whose leaves share out other `units` in the same proportions, as nearly as whole units allow.
fn share_out_again(tree: &Tree, units: u32, n_classes: usize) -> Tree {
    let leaf = |node: &Node| if let Node::Leaf(leaf) = node { Some(leaf + 1) } else { None };
    let n_leaves = tree.nodes().iter().filter_map(leaf).max().unwrap_or(0);
    let mut leaves = Vec::with_capacity(n_leaves as usize * n_classes);
    for leaf in 0..n_leaves {
        let shares: Vec<f64> = tree.leaf(leaf, n_classes).iter().map(|&share| share.into()).collect();
        leaf_probabilities(&shares, units, &mut leaves);
    }
    Tree::new(tree.nodes().to_vec(), leaves)
}

/// Share of each feature in the impurity that the splits of a tree took away; all zero if it has none.
pub(super) fn importances(grown: &Grown, n_features: usize) -> Vec<f64> {
    let mut importances = vec![0.0; n_features];
    grown.decreases.iter().for_each(|&(feature, decrease)| importances[feature as usize] += decrease);
    normalise(&mut importances);
    importances
}

/// Makes shares of what is not negative; leaves all zeros alone.
pub(super) fn normalise(importances: &mut [f64]) {
    let sum: f64 = importances.iter().sum();
    if sum > 0.0 {
        importances.iter_mut().for_each(|x| *x /= sum);
    }
}

/// Threads of this fit alone: a program's global pool is its own affair.
pub(super) fn thread_pool(n_threads: NonZeroUsize) -> Result<rayon::ThreadPool, LearnError> {
    let n_threads = n_threads.get();
    rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .thread_name(|i| format!("forest-{i}"))
        .build()
        .map_err(|source| LearnError::Threads { n_threads, source })
}
