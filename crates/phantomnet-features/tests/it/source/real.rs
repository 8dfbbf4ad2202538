//! Logs of real honeypots and sensors.

use std::path::PathBuf;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};

use super::*;

/// The folder of real logs beside the workspace, if there is one.
fn real(path: &str) -> Option<Vec<String>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.is_dir() {
        eprintln!("SKIPPED, tested on small built-in logs alone: no folder `{}`", folder.display());
        return None;
    }
    Some(vec![folder.join(path).to_str().unwrap().to_owned()])
}

#[rstest]
#[case("phantomnet_week6/week6_test_events.csv", 220, 0)]
#[case("phantomnet_week6/week6_test_events_2026-01-27.csv", 220, 0)]
#[case("heralding_2025/log_auth.csv", 13_088, 0)]
#[case("heralding_2025/log_session.csv", 15_696, 0)]
#[case("http_params/payload_full.csv", 31_067, 0)]
#[case("cic_ids2017/CICIDS2017_sample.csv", 6_311, 0)]
#[case("web_payloads/XSS_dataset.csv", 13_686, 0)]
#[case("web_payloads/XSS_dataset_2020.csv", 11_211, 0)]
#[case("web_payloads/sqli_utf16.csv", 4_197, 0)]
#[case("web_payloads/sqli_ragged.csv", 4_463, 25)]
#[case("web_payloads/datasetCD.csv", 5_229, 0)]
#[case("aws_honeypot_marx/AWS_Honeypot_marx-geo.csv.gz", 451_581, 0)]
#[case("cowrie_2018/**/cowrie.json.*", 81_497, 0)]
#[case("suricata/eve.json", 5_000, 0)]
#[case("docker_api_honeypot/dockerapi.2375.jsonl.gz", 76_267, 0)]
#[case("tpot_2025/dioneae_20k.json.gz", 20_799, 0)]
#[case("tpot_2025/honeytrap_5k.json.gz", 4_999, 0)]
#[case("suricata/alerts-only/honeypot-2018.json", 44, 0)]
#[case("suricata/alerts-only/wrccdc-2018.json", 207, 0)]
#[case("suricata/alerts-only/wrccdc-2017.json", 161, 0)]
#[case("suricata/alerts-only/first-org-conf-2015.json", 136, 0)]
#[case("csic2010/decoded/normal.txt.gz", 36_000, 0)]
#[case("csic2010/decoded/anomalous.txt.gz", 25_065, 0)]
#[case("csic2010/raw_requests/norm_test.txt.gz", 7_200, 0)]
#[case("csic2010/raw_requests/anomal_test.txt.gz", 5_013, 0)]
#[case("zeek_samples/zat_json", 228, 0)]
#[case("zeek_samples/zat_tsv/conn.log", 360, 0)]
#[case("zeek_samples/zat_tsv/http.log", 150, 0)]
#[case("zeek_samples/zat_tsv/tor_ssl.log", 733, 0)]
#[case("zeek_samples/wrccdc_tsv/dns.log.gz", 53_615, 0)]
#[case("zeek_samples/wrccdc_tsv/ssl.log.gz", 49_474, 0)]
#[case("iot23_zeek/conn.log.labeled", 23_145, 0)]
fn real_logs_are_read_whole(#[case] path: &str, #[case] n_rows: usize, #[case] n_rejected: u64) {
    let Some(paths) = real(path) else { return };
    let events = read_events(&paths, &ReadOptions::default()).unwrap();
    assert_eq!(
        (events.batch.num_rows(), events.origin.rejected.n),
        (n_rows, n_rejected),
        "{:?}",
        events.origin.rejected.kept.first()
    );
    let row = n_rows - 1;
    assert!(!raw_lines(&events.origin, &[row]).unwrap()[0].is_empty());
}

#[test]
fn both_week6_files_make_one_table() {
    let Some(paths) = real("phantomnet_week6") else { return };
    let events = read_events(&paths, &ReadOptions::default()).unwrap();
    assert_eq!((events.batch.num_rows(), events.batch.num_columns()), (440, 10));
    let port = events.batch.column_by_name("port").unwrap();
    assert!(port.as_primitive_opt::<Int64Type>().is_some() && port.null_count() > 220);
}

#[test]
fn infinite_rates_are_numbers() {
    let Some(paths) = real("cic_ids2017/CICIDS2017_sample.csv") else { return };
    let events = read_events(&paths, &ReadOptions::default()).unwrap();
    let rates = events.batch.column_by_name("Flow Bytes/s").unwrap().as_primitive::<Float64Type>();
    assert_eq!(rates.iter().flatten().filter(|x| x.is_infinite()).count(), 10);
}

#[test]
fn nsl_kdd_takes_its_names_from_the_options() {
    let Some(paths) = real("nsl_kdd/KDDTest+.txt") else { return };
    let columns = Some((1..=43).map(|i| format!("f{i}")).collect());
    let events = read_events(&paths, &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
    assert_eq!((events.batch.num_rows(), events.batch.num_columns()), (22_544, 43));
    assert_eq!(types(&events)[41], ("f42", ColumnType::Text));
}

#[test]
fn the_labels_of_iot_23_are_columns() {
    let Some(paths) = real("iot23_zeek/conn.log.labeled") else { return };
    let events = read_events(&paths, &ReadOptions::default()).unwrap();
    let label = events.batch.column_by_name("label").unwrap().as_string::<i32>();
    let count = |wanted: &str| label.iter().flatten().filter(|label| *label == wanted).count();
    assert_eq!((count("Benign"), count("Malicious")), (1_923, 21_222));
    let port = events.batch.column_by_name("id.resp_p").unwrap();
    assert!(port.as_primitive_opt::<Int64Type>().is_some() && port.null_count() == 0);
}

/// What Zeek wrote of the same events in its own format and as JSON is read to the same values.
#[rstest]
#[case("ftp")]
#[case("notice")]
#[case("ntlm")]
#[case("rdp")]
#[case("smb_mapping")]
#[case("smtp")]
#[case("software")]
#[case("ssh")]
#[case("syslog")]
#[case("weird")]
fn zeek_logs_are_read_as_their_json(#[case] name: &str) {
    let Some(own) = real(&format!("zeek_samples/wrccdc_tsv/{name}.log.gz")) else { return };
    let json = real(&format!("zeek_samples/wrccdc_json/{name}.json.gz")).unwrap();
    let rows = |paths: &[String]| -> Vec<String> {
        let events = read_events(paths, &ReadOptions::default()).unwrap();
        let mut rows: Vec<String> = (0..events.batch.num_rows())
            .map(|i| {
                let mut cells: Vec<String> = phantomnet_features::row_as_json(&events.batch, i)
                    .into_iter()
                    // This JSON has its times as dates, and two columns of its own.
                    .filter(|(key, value)| !key.starts_with('_') && !value.is_null() && key != "ts")
                    .map(|(key, value)| match value.as_f64() {
                        Some(number) => format!("{key}={number}"),
                        None => format!("{key}={value}"),
                    })
                    .collect();
                cells.sort();
                cells.join(" ")
            })
            .collect();
        rows.sort();
        rows
    };
    let (own, json) = (rows(&own), rows(&json));
    assert_eq!(own.len(), json.len());
    let differ: Vec<_> = own.iter().zip(&json).filter(|(own, json)| own != json).take(3).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}
