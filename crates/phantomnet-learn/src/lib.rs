//! How a classifier is learned and judged: folds, learners, metrics, cross-validation.
