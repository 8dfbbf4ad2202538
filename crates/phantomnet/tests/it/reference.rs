//! The reference page of the configuration is made from the table of keys.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use phantomnet::config::Config;
use phantomnet::config::keys::KEYS;
use phantomnet::config::layers::Layer;

fn defaults() -> Config {
    Config::resolve(Layer::environment(|_| None), None, Layer::flags(Vec::new()).unwrap()).unwrap()
}

#[test]
fn the_page_is_up_to_date() {
    let mut page = String::from(
        "# Configuration\n\n\
         One TOML file, by default `phantomnet.toml` in the working directory, else `--config FILE`. Flags override the file, the file\n\
         overrides environment variables, these override defaults. `--set key=value` sets any key, also one of a table, such as\n\
         `features.x`; a list or a table given whole replaces the one below.\n\
         The resolved configuration is an artifact of every run.\n\n\
         Made from `crates/phantomnet/src/config/keys.rs` by `UPDATE_DOCS=1 cargo test -p phantomnet`.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (head, _) = key.path.split_once('.').unwrap_or((key.path, ""));
        if head != section {
            write!(page, "\n## `[{head}]`\n\n| key | value | default | meaning |\n|---|---|---|---|\n").unwrap();
            section = head;
        }
        let mut default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        for learner in key.learners().iter().filter(|learner| key.default_of(learner) != key.default) {
            write!(default, ", of `{learner}` `{}`", key.default_of(learner)).unwrap();
        }
        let learners: Vec<String> = key.learners().iter().map(|learner| format!("`{learner}`")).collect();
        let learners = if learners.is_empty() { String::new() } else { format!(" Of {}.", learners.join(", ")) };
        writeln!(page, "| `{}` | {} | {default} | {}{learners} |", key.path, key.kind.expected(), key.doc).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), page, "run UPDATE_DOCS=1 cargo test -p phantomnet");
}

/// Every key with a default is a field of the configuration with that value, and the other way round.
#[test]
fn keys_and_fields_are_the_same() {
    let config: toml::Table = defaults().to_toml().parse().unwrap();
    let mut fields = BTreeSet::new();
    for (section, value) in &config {
        for (name, value) in value.as_table().unwrap() {
            fields.insert(format!("{section}.{name} = {value}"));
        }
    }
    // Hyperparameters of other learners than the default one are left out of a resolved configuration.
    let keys: BTreeSet<String> = KEYS
        .iter()
        .filter(|k| !k.default.is_empty() && k.is_of("random_forest"))
        .map(|k| format!("{} = {}", k.path, k.default))
        .chain(["label.expr = \"\"".to_owned()])
        .collect();
    assert_eq!(fields, keys);
}
