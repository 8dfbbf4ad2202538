//! Presets: what the fields of a sensor's log mean.
//!
//! A preset names the fields that a sensor writes and their types, maps them to common columns, and brings features, a
//! label and a grouping column. It is a TOML file that a user can copy and change: `docs/reference/presets.md`. [`file`]
//! reads one, [`recognize`] tells which fits given events.

mod error;
mod file;
mod recognize;

use std::sync::{Arc, LazyLock};

use crate::{Aliases, EventSchema, Expression, ExpressionError, FeatureSet};

pub use error::PresetError;
pub use file::MAX_BYTES as MAX_PRESET_BYTES;
pub use recognize::recognize;

use recognize::Signs;

/// What the fields of a sensor's log mean.
///
/// Fields that the sensor observed and what its peer claimed are kept apart: a source address was seen, a user name was
/// said. Expressions read both alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    name: String,
    title: String,
    source: Option<String>,
    format: Option<String>,
    group: Option<String>,
    /// Of each form that the log comes in.
    signs: Vec<Signs>,
    fields: EventSchema,
    observed: Vec<(String, String)>,
    claimed: Vec<(String, String)>,
    label: Option<PresetLabel>,
    features: Vec<(String, String)>,
    text: String,
}

/// The label that a preset proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresetLabel {
    /// Its name in reports.
    pub name: String,
    /// Its expression, over fields and common columns.
    pub expr: String,
    /// With two classes named by text, the one whose probability is the score.
    pub positive: Option<String>,
}

macro_rules! builtin {
    ($($file:literal),* $(,)?) => {
        [$(include_str!(concat!("../presets/", $file, ".toml"))),*]
    };
}

/// Read once, their expressions unchecked: a test has compiled them.
static BUILTIN: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let read = |text: &str| file::read(text).expect("a test has read every preset of the program");
    builtin![
        "cic_ids2017",
        "cowrie",
        "dionaea",
        "dockerapi",
        "heralding_auth",
        "heralding_session",
        "honeytrap",
        "http_params",
        "iot23",
        "marx",
        "opencanary",
        "phantomnet",
        "suricata",
        "tpot",
        "zeek_conn",
        "zeek_dns",
        "zeek_files",
        "zeek_ftp",
        "zeek_http",
        "zeek_notice",
        "zeek_ntlm",
        "zeek_rdp",
        "zeek_smtp",
        "zeek_ssh",
        "zeek_ssl",
        "zeek_weird",
    ]
    .into_iter()
    .map(read)
    .collect()
});

impl Preset {
    /// The presets of the program, by name.
    pub fn builtin() -> &'static [Self] {
        &BUILTIN
    }

    /// The preset of the program that has this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::builtin().iter().find(|preset| preset.name == name)
    }

    /// Reads a preset file and compiles its expressions over its own fields.
    ///
    /// # Errors
    /// What is wrong first: [`PresetError::TooLong`], [`PresetError::Toml`], then keys and values, then
    /// [`PresetError::Expression`].
    pub fn parse(text: &str) -> Result<Self, PresetError> {
        let preset = file::read(text)?;
        preset.check()?;
        Ok(preset)
    }

    /// Name, by which a configuration asks for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sensor and its log, in a few words.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where the fields are documented.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Format of the log as configurations name it, where it cannot be told from the files.
    pub fn format(&self) -> Option<&str> {
        self.format.as_deref()
    }

    /// Field or common column whose rows belong together: a session, else the source address.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Fields that the expressions read, with their types. A log need not have them all: what it lacks is missing.
    pub fn fields(&self) -> &EventSchema {
        &self.fields
    }

    /// Common columns that the sensor observed: name and SQL over the fields, in the order of the file.
    pub fn observed(&self) -> &[(String, String)] {
        &self.observed
    }

    /// Common columns that the sensor's peer claimed: user name, password, payload and the like.
    pub fn claimed(&self) -> &[(String, String)] {
        &self.claimed
    }

    /// All common columns: observed, then claimed.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.observed.iter().chain(&self.claimed).map(|(name, sql)| (name.as_str(), sql.as_str()))
    }

    /// The label that it proposes.
    pub fn label(&self) -> Option<&PresetLabel> {
        self.label.as_ref()
    }

    /// The features that it proposes, over fields and common columns.
    pub fn features(&self) -> &[(String, String)] {
        &self.features
    }

    /// The file, comments included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The common columns as names that stand for their expressions.
    ///
    /// # Errors
    /// Those of [`Aliases::new`].
    pub fn aliases(&self) -> Result<Aliases, ExpressionError> {
        Aliases::new(self.columns())
    }

    /// Compiles every expression over the preset's own fields.
    fn check(&self) -> Result<(), PresetError> {
        let schema = self.fields.arrow();
        let wrong = |key: String| move |error| PresetError::Expression { key, error };
        for (section, columns) in [("observed", &self.observed), ("claimed", &self.claimed)] {
            for (name, sql) in columns {
                Expression::compile(name, sql, &schema).map_err(wrong(format!("{section}.{name}")))?;
            }
        }
        let aliases = self.aliases().map_err(wrong("observed".to_owned()))?;
        let compile = |name: &str, sql: &str| Expression::compile(name, &aliases.expand(name, sql)?, &schema);
        if let Some(label) = &self.label {
            compile(&label.name, &label.expr).map_err(wrong("label.expr".to_owned()))?;
        }
        for (name, sql) in &self.features {
            let feature = compile(name, sql).map_err(wrong(format!("features.{name}")))?;
            FeatureSet::compile([(name, &feature.sql)], &Arc::clone(&schema))
                .map_err(wrong(format!("features.{name}")))?;
        }
        Ok(())
    }
}
