//! How the program fails: one line that says what is wrong, its causes, a hint, and the exit status.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Whose fault it is; each kind has its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong usage or configuration: 2.
    Config,
    /// Bad data, or a model that cannot be trusted: 3.
    Data,
    /// Something outside failed: disk, database, server: 4.
    Environment,
    /// The user stopped it by this signal: 128 + signal.
    Stopped(i32),
}

impl Kind {
    /// The exit status.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Config => ExitCode::from(2),
            Self::Data => ExitCode::from(3),
            Self::Environment => ExitCode::from(4),
            Self::Stopped(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(130)),
        }
    }
}

/// An error as it is shown.
#[derive(Debug)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: Kind,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure of some kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, cause: None }
    }

    /// Wrong usage or configuration.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// Bad data.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// Something outside failed.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Kind::Environment, message)
    }

    /// An error of a library, with the causes it names.
    pub fn of(kind: Kind, error: impl Error + Send + Sync + 'static) -> Self {
        let message = error.to_string();
        Self { kind, message, hint: None, cause: Some(Box::new(error)) }.own_cause()
    }

    /// The first cause is the error that gave the message; what follows it is shown.
    fn own_cause(mut self) -> Self {
        let chain = self.cause.as_ref().map(|e| causes(e.as_ref()));
        self.cause = chain.filter(|c| !c.is_empty()).map(|c| Box::<dyn Error + Send + Sync>::from(c.join(": ")));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it, if anything is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// An error of writing: what could not be written, why, and what helps.
    pub fn of_writing(path: &std::path::Path, error: std::io::Error) -> Self {
        let advice = match error.kind() {
            std::io::ErrorKind::StorageFull => "free some space, or write to another disk",
            _ => "check that the folder exists and may be written",
        };
        Self::environment(format!("cannot write `{}`", path.display())).caused_by(error).hint(advice)
    }

    /// Adds why it happened.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Failure {
    /// The line that a terminal shows and a run records: message and causes. What an attacker wrote may be part of it, so
    /// control characters are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.message))?;
        if let Some(cause) = &self.cause {
            write!(f, ": {}", visible(&cause.to_string()))?;
            for cause in causes(cause.as_ref()) {
                write!(f, ": {}", visible(&cause))?;
            }
        }
        Ok(())
    }
}

impl Error for Failure {}

/// The error as shown to people: one line, and one for the hint.
pub fn render(failure: &Failure) -> String {
    let general = match failure.kind {
        Kind::Config => "every key: docs/reference/configuration.md; every flag: `phantomnet help`",
        Kind::Data => "`phantomnet inspect DATA...` shows what is in the data",
        Kind::Environment => "check disk, permissions and the place that is named",
        Kind::Stopped(_) => return format!("error: {failure}"),
    };
    let hint = failure.hint.as_deref().unwrap_or(general);
    format!("error: {failure}\nhint: {}", visible(hint))
}

/// Escapes control characters and line breaks.
pub fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escape = c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let escaped = escape.then(|| c.escape_default());
            escaped.into_iter().flatten().chain((!escape).then_some(c))
        })
        .collect()
}

fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    std::iter::successors(error.source(), |&e| e.source()).map(ToString::to_string).collect()
}

/// The candidate nearest to a mistyped name, if one is near.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|c| (strsim::jaro_winkler(name, c), c));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_holds_message_and_causes_and_no_control_character() {
        let inner = std::io::Error::other("disk\u{1b}[31m full");
        let failure = Failure::environment("cannot write `a\nb`").caused_by(inner).hint("free some space");
        assert_eq!(render(&failure), "error: cannot write `a\\nb`: disk\\u{1b}[31m full\nhint: free some space");
    }

    #[test]
    fn nearest_needs_some_likeness() {
        assert_eq!(nearest("n_estimator", ["n_estimators", "seed"]), Some("n_estimators"));
        assert_eq!(nearest("xyz", ["n_estimators", "seed"]), None);
    }
}
