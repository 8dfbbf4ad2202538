//! A preset in the configuration, and the commands on presets.

use std::path::Path;

use phantomnet::config::Config;
use phantomnet::config::layers::{Layer, parse_value};
use phantomnet::failure::{Failure, render};
use phantomnet_features::{ColumnType, Preset};
use rstest::rstest;

use super::program::Workplace;

fn resolve(file: &str, flags: &[&str]) -> Result<Config, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phantomnet.toml");
    std::fs::write(&path, file).unwrap();
    let flags = flags.iter().map(|flag| flag.split_once('=').unwrap());
    let flags = Layer::flags(flags.map(|(key, value)| (key.to_owned(), parse_value(value))).collect())?;
    Config::resolve(Layer::environment(|_| None), Some(Layer::file(&path)?), flags)
}

fn cowrie() -> &'static Preset {
    Preset::find("cowrie").unwrap()
}

fn names(config: &Config) -> Vec<String> {
    config.features().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_preset_brings_label_features_fields_and_columns() {
    let config = resolve("", &["data.preset=cowrie"]).unwrap();
    assert_eq!(config.label.name, "is_attack");
    assert!(config.label_expr().unwrap().starts_with("eventid IN ('cowrie.login.failed'"));
    let own: Vec<&str> = cowrie().features().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names(&config), own);
    assert_eq!(config.columns()["source_address"], "src_ip");
    assert_eq!(config.aliases().unwrap().expand("x", "payload_length(client)").unwrap(), "payload_length((version))");
    assert_eq!(config.fields()["src_port"], ColumnType::Integer);
    // Without one there is nothing of that.
    let config = resolve("", &[]).unwrap();
    assert!(config.columns().is_empty() && config.fields().is_empty() && config.features().is_empty());
}

#[test]
fn a_preset_on_the_command_line_counts_before_the_file() {
    let file = "[label]\nname = 'mine'\nexpr = 'x'\n[features]\na = 'b'";
    let config = resolve(file, &["data.preset=cowrie"]).unwrap();
    assert_eq!(config.label.name, "is_attack");
    assert!(config.label_expr().unwrap().starts_with("eventid IN"));
    assert_eq!(names(&config), cowrie().features().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    let config = resolve(file, &["data.preset=cowrie", "label.expr=y"]).unwrap();
    assert_eq!(config.label.expr, "y");
}

#[test]
fn a_password_of_a_database_is_not_shown() {
    let config = resolve("[data]\npaths = ['postgres://me:secret@db/logs?table=t']", &[]).unwrap();
    assert!(!config.to_toml().contains("secret") && !config.model_part().to_string().contains("secret"));
    assert_eq!(config.as_given(&config.data.paths[0]), "postgres://me:secret@db/logs?table=t");
}

#[test]
fn what_the_configuration_says_itself_counts() {
    let file = "[data]\npreset = 'cowrie'\nfields = { mine = 'number', src_port = 'text' }\n\
                [columns]\npayload = 'input'\nmine_too = 'mine'\n[features]\na = 'payload'";
    let config = resolve(file, &["label.expr=x", "columns.other=y"]).unwrap();
    assert_eq!((config.label.name.as_str(), config.label.expr.as_str()), ("label", "x"));
    assert_eq!(names(&config), ["a"]);
    let columns = config.columns();
    assert_eq!(
        [&columns["payload"], &columns["mine_too"], &columns["other"], &columns["session"]],
        ["input", "mine", "y", "session"]
    );
    let fields = config.fields();
    assert_eq!(
        (fields["mine"], fields["src_port"], fields["eventid"]),
        (ColumnType::Number, ColumnType::Text, ColumnType::Text)
    );

    let config = resolve("", &["data.preset=cowrie", "features.hour=1", "features.more=2"]).unwrap();
    assert_eq!(names(&config).len(), cowrie().features().len() + 1);
    let config = resolve("", &["data.preset=cowrie", "features.payload_length="]).unwrap();
    assert_eq!(names(&config).len(), cowrie().features().len() - 1);
    let config = resolve("", &["data.preset=cowrie", "features={}", "label.name=mine"]).unwrap();
    assert!(config.features().is_empty());
    assert!(config.label.name == "mine" && config.label.expr.starts_with("eventid IN"));
}

/// The configuration that a run records makes the same run, whatever becomes of the preset.
#[test]
fn a_resolved_configuration_resolves_to_itself() {
    for preset in Preset::builtin() {
        let file = format!("[data]\npreset = '{}'\n[columns]\npayload = 'mine'\n[label]\nexpr = 'true'", preset.name());
        let config = resolve(&file, &[]).unwrap();
        assert_eq!(resolve(&config.to_toml(), &[]).unwrap(), config);
        let mut without = config.clone();
        without.data.preset = None;
        assert_eq!(resolve(&without.to_toml(), &[]).unwrap(), without);
    }
}

#[rstest]
#[case(&["data.preset=cowry"], "error: there is no preset `cowry`; presets are `cic_ids2017`, `cowrie`, ", "did you mean `cowrie`?")]
#[case(&["data.preset=xyz"], "error: there is no preset `xyz`", "`phantomnet presets list` says what each is for; a file of your own ends in .toml")]
#[case(&["data.preset=none.toml"], "error: cannot read preset `none.toml`: ", "")]
#[case(&["data.fields.a=txt"], "error: `data.fields.a` must be `integer` or `number` or `boolean` or `text`, got `txt`", "did you mean `text`?")]
#[case(&["columns.a=1 +"], "error: [columns]: expression `a` is not one SQL expression: ", "")]
#[case(&["columns=3"], "error: `columns` must be a table of texts, got `integer` (in the command line)", "")]
fn mistakes_are_told(#[case] flags: &[&str], #[case] message: &str, #[case] hint: &str) {
    let shown = render(&resolve("", flags).unwrap_err());
    assert!(shown.starts_with(message) && shown.contains(hint), "{shown}");
}

#[test]
fn a_preset_is_shown_copied_and_changed() {
    let at = Workplace::new();
    let shown = at.run(&["presets", "show", "cowrie"]);
    assert!(shown.status.success() && shown.stderr.is_empty());
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(text, cowrie().text());

    at.write("my.toml", &text.replace("coalesce(input, data, url, filename)", "input"));
    assert!(at.run(&["presets", "show", "my.toml"]).status.success());
    let path = at.path("my.toml");
    let config = resolve("", &[&format!("data.preset={}", path.to_str().unwrap())]).unwrap();
    assert_eq!(config.columns()["payload"], "input");
    assert_eq!(names(&config).len(), cowrie().features().len());

    at.write("wrong.toml", &text.replace("coalesce(input, data, url, filename)", "imput"));
    let (status, stderr) = at.fails(&["presets", "show", "wrong.toml"]);
    assert_eq!(status, 2);
    assert!(
        stderr.starts_with("error: preset `wrong.toml`: `claimed.payload` cannot be used: expression `payload` reads"),
        "{stderr}"
    );
    assert!(stderr.ends_with("hint: did you mean \"input\"?\n"), "{stderr}");
    at.write("latin.toml", "");
    std::fs::write(at.path("latin.toml"), [b'#', 0xe9]).unwrap();
    assert!(at.fails(&["presets", "show", "latin.toml"]).1.contains("is not UTF-8"));
}

#[test]
fn presets_are_listed() {
    let at = Workplace::new();
    let list = at.json(&["presets", "list", "--json"]);
    let listed: Vec<&str> = list.as_array().unwrap().iter().map(|preset| preset["name"].as_str().unwrap()).collect();
    assert_eq!(listed, Preset::builtin().iter().map(Preset::name).collect::<Vec<_>>());
    let cowrie = &list[1];
    assert_eq!((&cowrie["group"], &cowrie["observed"]["source_address"]), (&"session".into(), &"src_ip".into()));
    assert_eq!(cowrie["fields"][0], serde_json::json!({"name": "eventid", "type": "text"}));
    let text = String::from_utf8(at.run(&["presets", "list"]).stdout).unwrap();
    assert_eq!(text.lines().count(), Preset::builtin().len());
    assert!(text.contains("\ncowrie             Cowrie: SSH and Telnet honeypot, JSON log\n"), "{text}");
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/presets.md").is_file());
}

#[test]
fn train_and_inspect_take_a_preset() {
    let at = Workplace::new();
    for command in ["train", "inspect"] {
        let (status, stderr) = at.fails(&[command, "--preset", "cowry", "events.csv"]);
        assert!(status == 2 && stderr.starts_with("error: there is no preset `cowry`"), "{stderr}");
    }
}
