//! The preset that a configuration names: one of the program, or a file of the user's.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;

use phantomnet_features::{MAX_PRESET_BYTES, Preset, PresetError};

use crate::failure::{Failure, nearest};

/// The preset of a name, or in a file whose name ends in `.toml`.
///
/// # Errors
/// Of kind config when there is none, or when the file cannot be read or is no preset.
pub fn open(name: &str) -> Result<Cow<'static, Preset>, Failure> {
    if let Some(preset) = Preset::find(name) {
        return Ok(Cow::Borrowed(preset));
    }
    if !name.to_ascii_lowercase().ends_with(".toml") {
        return Err(unknown(name));
    }
    let cannot_read = |e: std::io::Error| Failure::config(format!("cannot read preset `{name}`")).caused_by(e);
    let mut bytes = Vec::new();
    // One byte more than a preset may have is enough to refuse it.
    let file = File::open(name).map_err(cannot_read)?;
    file.take(MAX_PRESET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::config(format!("preset `{name}` is not UTF-8")))?;
    Preset::parse(&text).map(Cow::Owned).map_err(|error| wrong(name, &error))
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = Preset::builtin().iter().map(Preset::name).collect();
    let failure = Failure::config(format!("there is no preset `{name}`; presets are `{}`", names.join("`, `")));
    failure.hint(match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`phantomnet presets list` says what each is for; a file of your own ends in .toml".into(),
    })
}

fn wrong(name: &str, error: &PresetError) -> Failure {
    let failure = Failure::config(format!("preset `{name}`: {error}")).maybe_hint(error.hint());
    match std::error::Error::source(error) {
        Some(cause) => failure.caused_by(cause.to_string()),
        None => failure,
    }
}
