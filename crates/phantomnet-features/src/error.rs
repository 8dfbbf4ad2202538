//! What can be wrong with an expression, and with the values it gives.

use arrow_schema::DataType;
use datafusion_common::DataFusionError;
use thiserror::Error;

/// Why an expression cannot be compiled or evaluated, or its values become neither features nor labels.
///
/// `name` is the key under which the user wrote the expression: a feature's name or the label's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// The text is too long to be parsed safely.
    #[error("expression `{name}` has {n_bytes} bytes; at most {limit} are read")]
    TooLong {
        /// Name of the expression.
        name: String,
        /// Its length.
        n_bytes: usize,
        /// The longest accepted.
        limit: usize,
    },
    /// Operators or parentheses are nested, or chained, too deeply to be planned safely.
    #[error("expression `{name}` is nested deeper than {limit} levels or chains more than {limit} words")]
    TooDeep {
        /// Name of the expression.
        name: String,
        /// The deepest accepted.
        limit: usize,
    },
    /// Not SQL, or more than one expression.
    #[error("expression `{name}` is not one SQL expression: {reason}")]
    Syntax {
        /// Name of the expression.
        name: String,
        /// What the parser expected and found, with line and column.
        reason: String,
    },
    /// SQL that needs more than the event at hand.
    #[error("expression `{name}` uses {what}; it may read only the columns of one event")]
    NotAllowed {
        /// Name of the expression.
        name: String,
        /// The construct found.
        what: String,
    },
    /// A column that events do not have.
    #[error("expression `{name}` reads unknown column `{}`; columns are {}", quoted(column), listed(columns))]
    UnknownColumn {
        /// Name of the expression.
        name: String,
        /// The column asked for.
        column: String,
        /// The columns there are, in the order of the schema.
        columns: Vec<String>,
    },
    /// A function that does not exist.
    #[error("expression `{name}` calls unknown function `{}`", quoted(function))]
    UnknownFunction {
        /// Name of the expression.
        name: String,
        /// The function asked for.
        function: String,
        /// The existing function spelled most alike.
        nearest: String,
    },
    /// A function whose value is not decided by its arguments.
    #[error("expression `{name}` calls `{function}`, which would give another value at another time")]
    NotReproducible {
        /// Name of the expression.
        name: String,
        /// The function.
        function: String,
    },
    /// Types that do not fit, or SQL that the query engine does not support.
    #[error("expression `{name}` cannot be planned: {reason}")]
    Plan {
        /// Name of the expression.
        name: String,
        /// What the query engine said.
        reason: String,
    },
    /// A value of some event on which the expression fails.
    #[error("expression `{name}` fails on an event: {reason}")]
    Evaluate {
        /// Name of the expression.
        name: String,
        /// What the query engine said.
        reason: String,
    },
    /// Events whose columns are not those the expression was compiled for.
    #[error("expression `{name}` was compiled for column `{}` of type {expected}, got {got}", quoted(column))]
    ColumnChanged {
        /// Name of the expression.
        name: String,
        /// The column.
        column: String,
        /// Its type when the expression was compiled.
        expected: DataType,
        /// What is in its place: a type, or another column.
        got: String,
    },
    /// A model of nothing.
    #[error("no feature is defined")]
    NoFeature,
    /// Two features of one name.
    #[error("feature `{name}` is defined twice")]
    DuplicateFeature {
        /// The name.
        name: String,
    },
    /// An expression whose values are no feature.
    #[error("feature `{name}` is of type {got}; a feature is a number, a boolean or a text")]
    FeatureType {
        /// Name of the feature.
        name: String,
        /// Type of its expression.
        got: DataType,
    },
    /// A feature whose type is not that of training.
    #[error("feature `{name}` was a {expected} in training, got {got}")]
    FeatureChanged {
        /// Name of the feature.
        name: String,
        /// Its kind in the feature schema.
        expected: &'static str,
        /// Type of its expression now.
        got: DataType,
    },
    /// As many arrays as the schema has features are needed.
    #[error("expected the values of {expected} features, got {got}")]
    FeatureCount {
        /// Features of the schema.
        expected: usize,
        /// Arrays given.
        got: usize,
    },
    /// A label that is neither boolean, integer nor text.
    #[error("label `{name}` is of type {got}; a label is a boolean, an integer or a text")]
    LabelType {
        /// Name of the label.
        name: String,
        /// Type of its expression.
        got: DataType,
    },
    /// A label that is NULL for every event.
    #[error("label `{name}` has no value on any of {n_rows} events")]
    NoLabel {
        /// Name of the label.
        name: String,
        /// Events looked at.
        n_rows: usize,
    },
    /// So many distinct values that the label is hardly a class.
    #[error("label `{name}` has more than {limit} classes, such as {}", listed(examples))]
    TooManyClasses {
        /// Name of the label.
        name: String,
        /// The most accepted.
        limit: usize,
        /// The first classes in their order.
        examples: Vec<String>,
    },
    /// A positive class that does not occur.
    #[error("positive class `{}` is not a class of label `{name}`; classes are {}", quoted(positive), listed(classes))]
    UnknownPositive {
        /// Name of the label.
        name: String,
        /// The class asked for.
        positive: String,
        /// The classes there are.
        classes: Vec<String>,
    },
    /// A positive class among other than two.
    #[error("a positive class needs a label of two classes; `{name}` has {}", listed(classes))]
    PositiveOfMany {
        /// Name of the label.
        name: String,
        /// The classes there are.
        classes: Vec<String>,
    },
    /// A label value that training did not meet.
    #[error("label of row {row} is `{}`; classes are {}", quoted(value), listed(classes))]
    UnknownClass {
        /// Row of the array, from 0.
        row: usize,
        /// The value.
        value: String,
        /// The classes of training.
        classes: Vec<String>,
    },
}

impl ExpressionError {
    /// Whether the events are to blame, and not the expression.
    pub fn is_about_data(&self) -> bool {
        matches!(
            self,
            Self::Evaluate { .. } | Self::NoLabel { .. } | Self::TooManyClasses { .. } | Self::UnknownClass { .. }
        )
    }

    /// What the user can do about it, where that is not in the message itself.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { reason, .. } if reason.starts_with("it ends before") => {
                Some("a name with blanks or signs is written \"a name\", a text 'a text'; `AS` is not needed".into())
            }
            Self::UnknownColumn { column, columns, .. } => Some(match nearest(column, columns) {
                Some(nearest) => format!("did you mean \"{}\"?", quoted(nearest)),
                None => "a text is written in single quotes: 'a text'".into(),
            }),
            Self::UnknownFunction { nearest, .. } => Some(format!("did you mean `{nearest}`?")),
            Self::NotReproducible { .. } => {
                Some("a feature must be the same in training and in scoring; use the event's own time".into())
            }
            Self::Evaluate { reason, .. } if reason.to_lowercase().contains("divide by zero") => {
                Some("write `a / nullif(b, 0)`: the feature is then missing where `b` is 0".into())
            }
            Self::Evaluate { .. } => Some("`TRY_CAST(x AS BIGINT)` is NULL where a text is no number".into()),
            Self::FeatureType { got, .. } if got.is_temporal() => {
                Some("take a number of it: `date_part('hour', t)`, `to_unixtime(t)`".into())
            }
            Self::FeatureType { .. } => Some("take a number or a text of it: `x['field']`, `x[1]`".into()),
            Self::LabelType { got, .. } if got.is_floating() => {
                Some("compare it, `x > 0.5`, or cast it, `CAST(x AS BIGINT)`".into())
            }
            Self::TooManyClasses { .. } => Some("group the values: `CASE WHEN … THEN 'a' ELSE 'b' END`".into()),
            _ => None,
        }
    }
}

/// The candidate spelled most alike in any case, unless less than half of it is alike.
pub(crate) fn nearest<'a>(name: &str, candidates: &'a [String]) -> Option<&'a String> {
    let name = name.to_lowercase();
    let alike = |candidate: &str| strsim::normalized_levenshtein(&candidate.to_lowercase(), &name);
    let (nearest, alike) = candidates.iter().map(|c| (c, alike(c))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    (alike >= 0.5).then_some(nearest)
}

/// The innermost message of the query engine, fit for one line: it may quote values of events.
///
/// The engine wraps an error also by quoting its text, and asks to report those it calls internal.
pub(crate) fn reason(error: &DataFusionError) -> String {
    let message = error.find_root().message();
    let innermost = ["Error during planning: ", "Execution error: "]
        .iter()
        .fold(message.as_ref(), |text, wrapper| text.rsplit(wrapper).next().unwrap_or(text));
    quoted(innermost.split("\nThis issue was likely").next().unwrap_or(innermost))
}

/// Longest stretch of foreign text in a message, in characters.
const MAX_QUOTED: usize = 300;

/// Foreign text without controls or marks that steer a terminal, cut at [`MAX_QUOTED`] characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == MAX_QUOTED {
            out.push('…');
            break;
        }
        match c {
            '\'' | '"' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// Most names of a list in a message.
const MAX_LISTED: usize = 20;

fn listed(names: &[String]) -> String {
    let mut out = names.iter().take(MAX_LISTED).map(|n| format!("`{}`", quoted(n))).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_LISTED {
        out.push_str(&format!(" and {} more", names.len() - MAX_LISTED));
    }
    if names.is_empty() {
        out.push_str("none");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_foreign_text_is_escaped() {
        let columns: Vec<String> = (0..25).map(|i| format!("c{i}")).collect();
        let error = ExpressionError::UnknownColumn { name: "x".into(), column: "a\u{1b}[2J\u{202e}".into(), columns };
        let text = error.to_string();
        assert!(text.starts_with("expression `x` reads unknown column `a\\u{1b}[2J\\u{202e}`; columns are `c0`, `c1`"));
        assert!(text.ends_with("`c19` and 5 more"), "{text}");
        assert_eq!(quoted(&"é".repeat(301)).chars().count(), 301);
    }
}
