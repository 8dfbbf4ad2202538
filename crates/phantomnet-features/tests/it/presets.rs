//! Presets: that each can be used as it is, what each is known by, and what is said about wrong ones.

// Whoever runs the tests is to know what they did not look at.
#![allow(clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use phantomnet_features::{
    Events, Expression, FeatureSet, MAX_PRESET_BYTES, Preset, PresetError, ReadOptions, learn_schema, overlaps,
    read_events, read_events_as, recognize,
};
use rstest::rstest;

fn preset(name: &str) -> &'static Preset {
    Preset::find(name).unwrap()
}

fn compile(preset: &Preset, name: &str, sql: &str) -> Expression {
    let sql = preset.aliases().unwrap().expand(name, sql).unwrap();
    Expression::compile(name, &sql, &preset.fields().arrow()).unwrap()
}

fn features(preset: &Preset) -> FeatureSet {
    let aliases = preset.aliases().unwrap();
    let expanded = preset.features().iter().map(|(name, sql)| (name, aliases.expand(name, sql).unwrap()));
    FeatureSet::compile(expanded, &preset.fields().arrow()).unwrap()
}

#[test]
fn every_preset_of_the_program_is_a_good_one() {
    let names: Vec<&str> = Preset::builtin().iter().map(Preset::name).collect();
    let mut files: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("presets"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap().replace(".toml", ""))
        .collect();
    files.sort_unstable();
    assert_eq!(names, files);
    for preset in Preset::builtin() {
        let name = preset.name();
        assert_eq!(&Preset::parse(preset.text()).unwrap_or_else(|e| panic!("{name}: {e}: {:?}", e.hint())), preset);
        assert!(preset.source().is_none_or(|source| source.starts_with("https://")), "{name}");
        assert!(!preset.features().is_empty(), "{name}");
        assert!(!preset.recognizes(&[], &|_| Vec::new()), "{name}");
    }
}

/// A field that no expression reads would be taken for missing for nothing, and one that is misspelled for another.
#[test]
fn every_field_is_read() {
    let mut unread = Vec::new();
    for preset in Preset::builtin() {
        let all = preset.columns().chain(preset.features().iter().map(|(n, s)| (n.as_str(), s.as_str())));
        let label = preset.label().map(|label| (label.name.as_str(), label.expr.as_str()));
        let own: Vec<Expression> = preset
            .columns()
            .map(|(name, sql)| Expression::compile(name, sql, &preset.fields().arrow()).unwrap())
            .chain(all.chain(label).map(|(name, sql)| compile(preset, name, sql)))
            .collect();
        let read: BTreeSet<&str> = own.iter().flat_map(Expression::columns).map(String::as_str).collect();
        unread.extend(preset.fields().names().filter(|n| !read.contains(n)).map(|n| (preset.name(), n.to_owned())));
    }
    assert!(unread.is_empty(), "{unread:?}");
}

#[test]
fn features_read_neither_what_the_label_reads_nor_who_it_was() {
    for preset in Preset::builtin() {
        let features = features(preset);
        if let Some(label) = preset.label() {
            let found = overlaps(&compile(preset, &label.name, &label.expr), &features);
            assert!(found.is_empty(), "{}: {}", preset.name(), found[0]);
        }
        for (name, sql) in preset.columns() {
            if !["source_address", "destination_address", "session", "source_name", "sensor"].contains(&name) {
                continue;
            }
            let who = Expression::compile(name, sql, &preset.fields().arrow()).unwrap();
            for feature in features.expressions() {
                let told = feature.columns().iter().find(|column| who.columns().contains(column));
                // Our own sensors are named by their protocol.
                assert!(told.is_none_or(|c| c == "honeypot_type"), "{}: {}: {told:?}", preset.name(), feature.name);
            }
        }
    }
}

/// What two presets call alike is of one type, so that a model's features can be taken from one to another. A status is a
/// number or a word, as the protocol has it.
#[test]
fn a_common_column_has_one_type() {
    let mut types = BTreeMap::new();
    for preset in Preset::builtin() {
        for (name, sql) in preset.columns().filter(|(name, _)| *name != "status") {
            let column = Expression::compile(name, sql, &preset.fields().arrow()).unwrap();
            let (first, of) = types.entry(name).or_insert_with(|| (column.data_type().clone(), preset.name()));
            assert_eq!(first, column.data_type(), "`{name}` of `{of}` and of `{}`", preset.name());
        }
    }
    assert_eq!(types["time"].0, DataType::Timestamp(TimeUnit::Nanosecond, None));
}

#[test]
fn the_page_names_every_preset_and_every_common_column() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/presets.md");
    let page = fs::read_to_string(page).unwrap();
    for preset in Preset::builtin() {
        let label = preset.label().map(|label| format!("`{}`", label.name)).unwrap_or_default();
        let group = preset.group().map(|group| format!("`{group}`")).unwrap_or_default();
        let row = format!("| `{}` | {} | {label} | {group} |", preset.name(), preset.title());
        assert!(page.contains(&row), "docs/reference/presets.md lacks the row\n{row}");
        for (section, columns) in [("observed", preset.observed()), ("claimed", preset.claimed())] {
            for (name, _) in columns {
                let row = format!("| `{name}` | {section} |");
                assert!(page.contains(&row), "docs/reference/presets.md lacks a row `{row}` ({})", preset.name());
            }
        }
    }
}

/// An event that has nothing of what the preset knows is one with missing values.
#[test]
fn nothing_is_needed() {
    for preset in Preset::builtin() {
        let schema = preset.fields().arrow();
        let nulls = schema.fields().iter().map(|field| new_null_array(field.data_type(), 2)).collect();
        let batch = RecordBatch::try_new(schema, nulls).unwrap();
        let features = features(preset);
        let values = features.values(&batch).unwrap();
        learn_schema(&features, &values, &[0, 1]).unwrap_or_else(|e| panic!("{}: {e}", preset.name()));
        for (name, sql) in preset.columns() {
            compile(preset, name, sql).evaluate(&batch).unwrap();
        }
    }
}

#[test]
fn odd_times_are_read() {
    let time = |name: &str, field: &str, text: &str| {
        let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let preset = preset(name);
        let schema = preset.fields().arrow();
        let columns = schema
            .fields()
            .iter()
            .map(|f| if f.name() == field { Arc::clone(&array) } else { new_null_array(f.data_type(), 1) });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        let time = compile(preset, "time", "time").evaluate(&batch).unwrap();
        arrow_cast::cast(&time, &DataType::Utf8).unwrap().as_string::<i32>().iter().flatten().next().map(str::to_owned)
    };
    assert_eq!(time("marx", "datetime", "3/3/13 9:53").unwrap(), "2013-03-03T09:53:00");
    assert_eq!(time("marx", "datetime", "12/31/13 23:59").unwrap(), "2013-12-31T23:59:00");
    assert_eq!(time("zeek_conn", "ts", "1521911720.865716").unwrap(), "2018-03-24T17:15:20.865716");
    assert_eq!(time("zeek_conn", "ts", "2018-03-24T17:15:20.865716Z").unwrap(), "2018-03-24T17:15:20.865716");
    assert_eq!(time("zeek_conn", "ts", "1e300"), None);
    assert_eq!(time("suricata", "timestamp", "2017-04-07T22:24:37.251547+0100").unwrap(), "2017-04-07T21:24:37.251547");
    assert_eq!(
        time("heralding_auth", "timestamp", "2025-09-11 18:28:38.252551").unwrap(),
        "2025-09-11T18:28:38.252551"
    );
    assert_eq!(time("cowrie", "timestamp", "2018-05-06T17:44:05.866769Z").unwrap(), "2018-05-06T17:44:05.866769");
    assert_eq!(time("cowrie", "timestamp", "yesterday"), None);
}

/// Documents of <https://docs.suricata.io/en/latest/output/eve/eve-json-format.html#event-type-dns>, shortened.
#[test]
fn names_that_suricata_saw_asked_for() {
    let log = r#"{"event_type":"dns","dns":{"type":"query","id":1,"rrname":"two.example","rrtype":"A"}}
{"event_type":"dns","dns":{"version":3,"type":"request","id":2,"queries":[{"rrname":"three.example","rrtype":"A"}]}}
{"event_type":"alert","dns":{"query":[{"type":"query","id":3,"rrname":"alert.example"}]}}
{"event_type":"dns","dns":{"version":3,"type":"request","queries":[]}}
"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    fs::write(&path, log).unwrap();
    let preset = preset("suricata");
    let path = path.to_str().unwrap().to_owned();
    let events = read_events_as(&[path], &ReadOptions::default(), preset.fields()).unwrap();
    for column in ["host", "payload"] {
        let values = compile(preset, column, column).evaluate(&events.batch).unwrap();
        let values: Vec<_> = values.as_string::<i32>().iter().collect();
        assert_eq!(values, [Some("two.example"), Some("three.example"), Some("alert.example"), None]);
    }
}

/// Logs are written by attackers, too. A preset's expressions are total: what is odd is missing.
#[test]
fn no_value_of_an_event_makes_a_preset_fail() {
    let texts =
        ["", "x", "1e300", "-9e18", "nan", "inf", "2018-99-99T99:99:99Z", "99999-01-01T00:00:00Z", "13/45/xx 99:99"];
    let texts: Vec<&str> =
        texts.into_iter().chain(["http://", "[[\"User-Agent\",\"", "::ffff:", "\u{0}é'\""]).collect();
    let integers = [i64::MIN, -1, 0, 1, i64::MAX];
    let numbers = [f64::NEG_INFINITY, -0.0, 1e300, f64::INFINITY];
    for preset in Preset::builtin() {
        let schema = preset.fields().arrow();
        let n = texts.len();
        let column = |data_type: &DataType| -> ArrayRef {
            match data_type {
                DataType::Int64 => Arc::new((0..n).map(|i| integers.get(i % 6).copied()).collect::<Int64Array>()),
                DataType::Float64 => Arc::new((0..n).map(|i| numbers.get(i % 5).copied()).collect::<Float64Array>()),
                DataType::Boolean => Arc::new((0..n).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>()),
                _ => Arc::new(texts.iter().map(|text| Some(*text)).collect::<StringArray>()),
            }
        };
        let columns = schema.fields().iter().map(|field| column(field.data_type())).collect();
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        let label = preset.label().map(|label| (label.name.as_str(), label.expr.as_str()));
        let features = preset.features().iter().map(|(name, sql)| (name.as_str(), sql.as_str()));
        for (name, sql) in preset.columns().map(|(name, _)| (name, name)).chain(features).chain(label) {
            let value = compile(preset, name, sql).evaluate(&batch);
            assert!(value.is_ok(), "{}: {name}: {}", preset.name(), value.unwrap_err());
        }
    }
}

/// A file of real logs, if there are any beside the workspace.
fn real(path: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.is_dir() {
        eprintln!("SKIPPED, tested on small built-in logs alone: no folder `{}`", folder.display());
        return None;
    }
    Some(folder.join(path))
}

/// The events at the beginning of a file.
fn beginning(path: &Path) -> Events {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).unwrap();
    let limit = 200_000;
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(file).take(limit).read_to_end(&mut bytes).unwrap();
    } else {
        file.take(limit).read_to_end(&mut bytes).unwrap();
    }
    let end = bytes.iter().rposition(|b| b"\r\n".contains(b)).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".gz");
    let folder = tempfile::tempdir().unwrap();
    let head = folder.path().join(name);
    fs::File::create(&head).unwrap().write_all(&bytes[..=end]).unwrap();
    let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
    read_events(&[head.to_str().unwrap().to_owned()], &options).unwrap()
}

fn recognized(events: &Events) -> Option<&'static str> {
    let columns: Vec<&str> = events.origin.schema.names().collect();
    let sample = |name: &str| {
        let text = arrow_cast::cast(events.batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        text.as_string::<i32>().iter().flatten().map(str::to_owned).take(100).collect()
    };
    recognize(&columns, &sample).map(Preset::name)
}

#[rstest]
#[case("cowrie_2018/plain/cowrie.json.2018-05-08", Some("cowrie"))]
#[case("phantomnet_week6/week6_test_events.csv", Some("phantomnet"))]
#[case("phantomnet_week6/week6_test_events_2026-01-27.csv", Some("phantomnet"))]
#[case("heralding_2025/log_auth.csv", Some("heralding_auth"))]
#[case("heralding_2025/log_session.csv", Some("heralding_session"))]
#[case("suricata/eve.json", Some("suricata"))]
#[case("aws_honeypot_marx/AWS_Honeypot_marx-geo.csv.gz", Some("marx"))]
#[case("docker_api_honeypot/dockerapi.2375.jsonl.gz", Some("dockerapi"))]
#[case("tpot_2025/dioneae_20k.json.gz", Some("dionaea"))]
#[case("tpot_2025/honeytrap_5k.json.gz", Some("honeytrap"))]
#[case("iot23_zeek/conn.log.labeled", Some("iot23"))]
#[case("cic_ids2017/CICIDS2017_sample.csv", Some("cic_ids2017"))]
#[case("http_params/payload_full.csv", Some("http_params"))]
#[case("http_params/payload_test_lexical.csv", Some("http_params"))]
#[case("zeek_samples/zat_tsv/conn.log", Some("zeek_conn"))]
#[case("zeek_samples/zat_json/conn.log", Some("zeek_conn"))]
#[case("zeek_samples/zat_tsv/http.log", Some("zeek_http"))]
#[case("zeek_samples/zat_json/http.log", Some("zeek_http"))]
#[case("zeek_samples/zat_tsv/dns.log", Some("zeek_dns"))]
#[case("zeek_samples/zat_json/dns.log", Some("zeek_dns"))]
#[case("zeek_samples/wrccdc_tsv/dns.log.gz", Some("zeek_dns"))]
#[case("zeek_samples/zat_tsv/ssl.log", Some("zeek_ssl"))]
#[case("zeek_samples/zat_json/ssl.log", Some("zeek_ssl"))]
#[case("zeek_samples/zat_tsv/tor_ssl.log", Some("zeek_ssl"))]
#[case("zeek_samples/wrccdc_tsv/ssl.log.gz", Some("zeek_ssl"))]
#[case("zeek_samples/zat_tsv/files.log", Some("zeek_files"))]
#[case("zeek_samples/zat_json/files.log", Some("zeek_files"))]
#[case("zeek_samples/zat_tsv/weird.log", Some("zeek_weird"))]
#[case("zeek_samples/wrccdc_json/weird.json.gz", Some("zeek_weird"))]
#[case("zeek_samples/wrccdc_tsv/ssh.log.gz", Some("zeek_ssh"))]
#[case("zeek_samples/wrccdc_json/ssh.json.gz", Some("zeek_ssh"))]
#[case("zeek_samples/wrccdc_tsv/ftp.log.gz", Some("zeek_ftp"))]
#[case("zeek_samples/wrccdc_json/ftp.json.gz", Some("zeek_ftp"))]
#[case("zeek_samples/wrccdc_tsv/smtp.log.gz", Some("zeek_smtp"))]
#[case("zeek_samples/wrccdc_json/smtp.json.gz", Some("zeek_smtp"))]
#[case("zeek_samples/wrccdc_tsv/rdp.log.gz", Some("zeek_rdp"))]
#[case("zeek_samples/wrccdc_json/rdp.json.gz", Some("zeek_rdp"))]
#[case("zeek_samples/wrccdc_tsv/ntlm.log.gz", Some("zeek_ntlm"))]
#[case("zeek_samples/wrccdc_json/ntlm.json.gz", Some("zeek_ntlm"))]
#[case("zeek_samples/wrccdc_tsv/notice.log.gz", Some("zeek_notice"))]
#[case("zeek_samples/wrccdc_json/notice.json.gz", Some("zeek_notice"))]
#[case("zeek_samples/wrccdc_tsv/software.log.gz", None)]
#[case("zeek_samples/wrccdc_tsv/smb_mapping.log.gz", None)]
#[case("zeek_samples/wrccdc_tsv/syslog.log.gz", None)]
#[case("web_payloads/XSS_dataset.csv", None)]
#[case("web_payloads/datasetCD.csv", None)]
#[case("nsl_kdd/KDDTest+.txt", None)]
#[case("docker_api_honeypot/dockerapi.2375.index.csv.gz", None)]
fn real_logs_are_recognized(#[case] path: &str, #[case] expected: Option<&str>) {
    let Some(path) = real(path) else { return };
    assert_eq!(recognized(&beginning(&path)), expected);
}

fn recognized_by(columns: &[&str], values: &[(&str, &str)]) -> Option<&'static str> {
    let sample = |name: &str| values.iter().filter(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()).collect();
    recognize(columns, &sample).map(Preset::name)
}

#[test]
fn other_versions_and_forms_are_recognized() {
    let cowrie = ["eventid", "session", "src_ip", "timestamp", "sensor", "uuid", "hassh"];
    assert_eq!(recognized_by(&cowrie, &[("eventid", "cowrie.client.kex"), ("eventid", "")]), Some("cowrie"));
    assert_eq!(recognized_by(&cowrie, &[("eventid", "cowrie.client.kex"), ("eventid", "other")]), None);
    assert_eq!(recognized_by(&cowrie, &[]), None);
    // The first Heralding, and a JSON log of sessions.
    let auth =
        ["timestamp", "auth_id", "auth_type", "session_id", "source_ip", "souce_port", "destination_port", "protocol"];
    assert_eq!(recognized_by(&[&auth[..], &["username", "password"]].concat(), &[]), Some("heralding_auth"));
    let session =
        ["timestamp", "duration", "session_id", "source_ip", "protocol", "num_auth_attempts", "auth_attempts"];
    assert_eq!(recognized_by(&session, &[]), Some("heralding_session"));
    let canary =
        ["dst_host", "dst_port", "local_time", "logdata.PASSWORD", "logtype", "node_id", "src_host", "src_port"];
    assert_eq!(recognized_by(&canary, &[]), Some("opencanary"));
    // Alerts alone, as arrays of them have it.
    let alerts = ["timestamp", "event_type", "flow_id", "src_ip", "dest_ip", "alert.signature", "payload_printable"];
    assert_eq!(recognized_by(&alerts, &[("event_type", "alert")]), Some("suricata"));
    // T-Pot's index has the fields of all its sensors.
    let tpot = ["@timestamp", "type", "src_ip", "t-pot_hostname", "t-pot_ip_ext", "t-pot_ip_int"];
    let all = [&tpot[..], &cowrie, &alerts].concat();
    assert_eq!(recognized_by(&all, &[("eventid", "cowrie.client.kex")]), Some("tpot"));
    let hits: Vec<String> = tpot.iter().map(|name| format!("_source.{name}")).chain(["_index".to_owned()]).collect();
    assert_eq!(recognized_by(&hits.iter().map(String::as_str).collect::<Vec<_>>(), &[]), Some("tpot"));
    // Zeek's JSON leaves out what is unset, so that a small log may lack columns.
    let zeek = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"];
    for (fields, expected) in [
        (&["name", "notice", "peer"][..], Some("zeek_weird")),
        (&["proto", "trans_id", "rcode", "AA"], Some("zeek_dns")),
        (&["version", "established", "resumed"], Some("zeek_ssl")),
        (&["trans_depth", "status_code", "request_body_len"], Some("zeek_http")),
        (&["auth_attempts", "client"], Some("zeek_ssh")),
        (&["client", "server", "status", "direction"], Some("zeek_ssh")),
        (&["request_type", "client", "service", "success", "cipher", "forwardable"], None),
        (&["mac", "assigned_ip", "lease_time", "trans_id"], None),
        (&["proto", "facility", "severity", "message"], None),
    ] {
        assert_eq!(recognized_by(&[&zeek[..], fields].concat(), &[]), expected, "{fields:?}");
    }
    assert_eq!(recognized_by(&["_path", "ts", "note"], &[("_path", "notice")]), Some("zeek_notice"));
    assert_eq!(recognized_by(&["_path", "ts"], &[("_path", "conn"), ("_path", "dns")]), None);
    assert_eq!(recognized_by(&["time", "user", "url", "status"], &[]), None);
}

/// How many events are true, false and without label, and how many have a value in each of some common columns.
fn counts(preset: &Preset, events: &Events, columns: &[&str]) -> (BTreeMap<String, usize>, Vec<usize>) {
    let evaluate = |name: &str, sql: &str| compile(preset, name, sql).evaluate(&events.batch).unwrap();
    let mut label = BTreeMap::new();
    for (name, sql) in preset.features() {
        evaluate(name, sql);
    }
    if let Some(own) = preset.label() {
        let values = arrow_cast::cast(&evaluate(&own.name, &own.expr), &DataType::Utf8).unwrap();
        for value in values.as_string::<i32>() {
            *label.entry(value.unwrap_or("none").to_owned()).or_default() += 1;
        }
    }
    let known = |name: &&str| {
        let array: ArrayRef = evaluate(name, name);
        array.len() - array.null_count()
    };
    (label, columns.iter().map(known).collect())
}

#[rstest]
#[case("cowrie", "cowrie_2018/**/cowrie.json.*", &[("false", 53_344), ("true", 28_153)], &[("time", 81_497), ("source_address", 81_497), ("source_port", 25_695), ("duration", 18_275), ("username", 14_141), ("client", 16_730), ("payload", 6_344)])]
#[case("phantomnet", "phantomnet_week6", &[("false", 187), ("true", 253)], &[("time", 440), ("destination_port", 50), ("payload", 335)])]
#[case("heralding_auth", "heralding_2025/log_auth.csv", &[], &[("time", 13_088), ("source_port", 13_088), ("username", 13_063), ("password", 12_923)])]
#[case("heralding_session", "heralding_2025/log_session.csv", &[("false", 11_021), ("true", 4_675)], &[("time", 15_696), ("duration", 15_696)])]
#[case("suricata", "suricata/eve.json", &[("false", 4_842), ("none", 90), ("true", 68)], &[("time", 5_000), ("source_address", 4_910), ("protocol", 4_841), ("url", 4_894), ("signature", 68)])]
#[case("dockerapi", "docker_api_honeypot/dockerapi.2375.jsonl.gz", &[("false", 57_446), ("true", 18_821)], &[("url", 76_267), ("client", 73_916), ("payload", 9_598)])]
#[case("dionaea", "tpot_2025/dioneae_20k.json.gz", &[("false", 20_338), ("none", 60), ("true", 401)], &[("time", 20_799), ("protocol", 20_799), ("username", 246), ("payload", 227)])]
#[case("honeytrap", "tpot_2025/honeytrap_5k.json.gz", &[("false", 1_093), ("true", 3_906)], &[("time", 4_999), ("duration", 4_999), ("payload", 3_906)])]
#[case("iot23", "iot23_zeek/conn.log.labeled", &[("false", 1_923), ("true", 21_222)], &[("time", 23_145), ("protocol", 1_847), ("source_bytes", 5_321)])]
#[case("cic_ids2017", "cic_ids2017/CICIDS2017_sample.csv", &[("false", 227), ("true", 6_084)], &[("duration", 6_311), ("source_bytes", 6_311)])]
#[case("http_params", "http_params/payload_full.csv", &[("false", 19_304), ("true", 11_763)], &[("payload", 31_067)])]
#[case("zeek_conn", "zeek_samples/zat_tsv/conn.log", &[], &[("time", 360), ("session", 360), ("source_bytes", 211)])]
#[case("zeek_conn", "zeek_samples/zat_json/conn.log", &[], &[("time", 50), ("protocol", 44), ("duration", 50)])]
#[case("zeek_http", "zeek_samples/zat_tsv/http.log", &[], &[("time", 150), ("status", 146), ("client", 124)])]
#[case("zeek_http", "zeek_samples/zat_json/http.log", &[], &[("time", 28), ("url", 27), ("client", 26)])]
#[case("zeek_dns", "zeek_samples/wrccdc_tsv/dns.log.gz", &[], &[("time", 53_615), ("status", 44_118), ("payload", 53_613)])]
#[case("zeek_ssl", "zeek_samples/zat_tsv/tor_ssl.log", &[], &[("time", 733), ("certificate", 494), ("host", 426)])]
#[case("zeek_ssl", "zeek_samples/wrccdc_tsv/ssl.log.gz", &[], &[("cipher", 18_441), ("host", 15_070)])]
#[case("zeek_files", "zeek_samples/zat_tsv/files.log", &[], &[("source_address", 113), ("file_hash", 106), ("payload", 5)])]
#[case("zeek_weird", "zeek_samples/wrccdc_tsv/weird.log.gz", &[], &[("time", 24_202), ("event_name", 24_202), ("source_address", 24_201)])]
#[case("zeek_ssh", "zeek_samples/wrccdc_tsv/ssh.log.gz", &[], &[("time", 22), ("status", 7), ("client", 15)])]
#[case("zeek_ssh", "zeek_samples/wrccdc_json/ssh.json.gz", &[], &[("time", 22), ("status", 7), ("client", 15)])]
#[case("zeek_ftp", "zeek_samples/wrccdc_tsv/ftp.log.gz", &[], &[("username", 93), ("payload", 46)])]
#[case("zeek_smtp", "zeek_samples/wrccdc_tsv/smtp.log.gz", &[], &[("status", 1_188), ("username", 12)])]
#[case("zeek_rdp", "zeek_samples/wrccdc_tsv/rdp.log.gz", &[], &[("status", 4_115), ("username", 23)])]
#[case("zeek_ntlm", "zeek_samples/wrccdc_tsv/ntlm.log.gz", &[], &[("username", 317), ("status", 206)])]
#[case("zeek_notice", "zeek_samples/wrccdc_tsv/notice.log.gz", &[], &[("signature", 207), ("destination_port", 207)])]
fn real_logs_are_understood(
    #[case] name: &str,
    #[case] path: &str,
    #[case] label: &[(&str, usize)],
    #[case] columns: &[(&str, usize)],
) {
    let Some(path) = real(path) else { return };
    let preset = preset(name);
    let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
    let events = read_events_as(&[path.to_str().unwrap().to_owned()], &options, preset.fields()).unwrap();
    let unparsed: Vec<_> = events.origin.unparsed.iter().collect();
    assert!(unparsed.is_empty(), "{unparsed:?}");
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let (found, known) = counts(preset, &events, &names);
    let expected: BTreeMap<String, usize> = label.iter().map(|(class, n)| ((*class).to_owned(), *n)).collect();
    let expected_known: Vec<usize> = columns.iter().map(|(_, n)| *n).collect();
    assert_eq!((found, known), (expected, expected_known));
}

const SMALL: &str = r#"
name = "door"
title = "A door"
format = "jsonl"
group = "who"
[recognize]
columns = ["bell"]
[fields]
bell = "text"
n = "integer"
[observed]
who = "bell"
[claimed]
said = "upper(bell)"
[label]
expr = "n > 1"
[features]
length = "payload_length(said)"
"#;

#[test]
fn a_preset_of_a_user_is_read() {
    let preset = Preset::parse(SMALL).unwrap();
    assert_eq!((preset.name(), preset.title(), preset.source(), preset.group()), ("door", "A door", None, Some("who")));
    assert_eq!(preset.format(), Some("jsonl"));
    assert_eq!(preset.columns().collect::<Vec<_>>(), [("who", "bell"), ("said", "upper(bell)")]);
    assert_eq!(preset.label().unwrap().name, "label");
    assert_eq!(preset.text(), SMALL);
    assert!(preset.recognizes(&["bell", "other"], &|_| Vec::new()));
    let least = Preset::parse("name = 'x'\ntitle = 'X'").unwrap();
    assert!(least.label().is_none() && !least.recognizes(&["bell"], &|_| Vec::new()));
}

#[rstest]
#[case("name = \"door\"", "name = ", "line 2 is not TOML: string values must be quoted, expected literal string", None)]
#[case("[claimed]", "[claims]", "unknown key `claims`", Some("did you mean `claimed`?"))]
#[case(
    "expr = \"n > 1\"",
    "expr = \"n > 1\"\nexpression = 'x'",
    "unknown key `label.expression`",
    Some("did you mean `label.expr`?")
)]
#[case(
    "[recognize]",
    "[recognize]\nallof = []",
    "unknown key `recognize.allof`",
    Some("did you mean `recognize.any_of`?")
)]
#[case("expr = \"n > 1\"", "", "`label.expr` is missing: which events are attacks, in SQL", None)]
#[case("title = \"A door\"", "", "`title` is missing: the sensor and its log, in a few words", None)]
#[case("\"door\"", "\"A Door\"", "`name` must be lower-case letters, digits, `_` and `-`, got `\"A Door\"`", None)]
#[case(
    "\"integer\"",
    "\"intger\"",
    "`fields.n` must be `integer`, `number`, `boolean` or `text`, got `intger`",
    Some("did you mean `integer`?")
)]
#[case("\"integer\"", "3", "`fields.n` must be a type in quotes, got `3`", None)]
#[case("\"upper(bell)\"", "3", "`claimed.said` must be an SQL expression in quotes, got `3`", None)]
#[case(
    "format = \"jsonl\"",
    "format = \"json\"",
    "`format` must be a format, got `json`",
    Some("did you mean `jsonl`?")
)]
#[case(
    "group = \"who\"",
    "group = \"whom\"",
    "`group` must be a field or a common column, got `whom`",
    Some("did you mean `who`?")
)]
#[case("[\"bell\"]", "[\"bell\", 3]", "`recognize.columns` must be a list of column names, got `[\"bell\", 3]`", None)]
#[case(
    "[fields]",
    "values = { bell = \"[\" }\n[fields]",
    "`recognize.values.bell` must be a glob such as `cowrie.*`, or a list of them, got `\"[\"`",
    None
)]
#[case(
    "said =",
    "who =",
    "column `who` is both in [observed] and in [claimed]",
    Some("observed is what the sensor saw itself, claimed what its peer said")
)]
#[case("upper(bell)", "upper(bel)", "`claimed.said` cannot be used", Some("did you mean \"bell\"?"))]
#[case(
    "upper(bell)",
    "upper(who)",
    "`claimed.said` cannot be used",
    Some(
        "an expression reads fields that [fields] lists with their type; features and label read common columns, too"
    )
)]
#[case(
    "payload_length(said)",
    "payload_lenght(said)",
    "`features.length` cannot be used",
    Some("did you mean `payload_length`?")
)]
#[case("n > 1", "n > '", "`label.expr` cannot be used", None)]
fn mistakes_name_place_value_and_expectation(
    #[case] from: &str,
    #[case] to: &str,
    #[case] expected: &str,
    #[case] hint: Option<&str>,
) {
    assert!(SMALL.contains(from));
    let error = Preset::parse(&SMALL.replacen(from, to, 1)).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (expected, hint));
}

#[test]
fn the_size_of_a_preset_is_bounded() {
    let long = format!("{SMALL}#{}", "x".repeat(MAX_PRESET_BYTES));
    assert!(matches!(Preset::parse(&long), Err(PresetError::TooLong { limit: MAX_PRESET_BYTES, .. })));
    let deep = format!("name = {}", "[".repeat(100_000));
    assert!(matches!(Preset::parse(&deep), Err(PresetError::Toml { line: 1, .. })));
}
