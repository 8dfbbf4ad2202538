//! Compressed logs that are cut off or damaged: what was read before is read, and what could not be is told.
#![no_main]

use std::io::{self, Write};
use std::iter;

use libfuzzer_sys::fuzz_target;
use phantomnet_features::{ColumnType, Encoding, Events, Format, ReadOptions, SourceError, raw_lines, read_events};
use phantomnet_fuzz::{assert_printable, file};

/// Bytes by which a compressed file is recognized; without them it is another file.
const MAGIC_BYTES: usize = 4;

fuzz_target!(|input: &[u8]| {
    let [codec, how, at, more, content @ ..] = input else {
        return;
    };
    let is_json = how & 1 == 1;
    let compressed = compress(codec % 3, &log(content, is_json), usize::from(how >> 2)).expect("memory can be written");
    let options = ReadOptions {
        format: Some(if is_json { Format::JsonLines } else { Format::Csv }),
        types: ["a", "b"].map(|name| (name.to_owned(), ColumnType::Text)).into(),
        encoding: Some(Encoding::Utf8),
        max_rejected: 1.0,
        ..ReadOptions::default()
    };
    let whole = read(&compressed, &options).expect("an undamaged file");
    let at = MAGIC_BYTES + usize::from(u16::from_le_bytes([*at, *more])) % (compressed.len() - MAGIC_BYTES);
    let cut = read(&compressed[..at], &options);
    if let Ok(cut) = &cut {
        let n_rows = cut.batch.num_rows();
        assert_eq!(cut.batch, whole.batch.slice(0, n_rows));
        assert!(cut.origin.places.iter().eq(whole.origin.places.iter().take(n_rows)));
        assert!(cut.origin.rejected.n > 0 && is_told(cut), "{:?}", cut.origin.warnings);
    }
    let mut damaged = compressed;
    damaged[at] ^= 1 << (how >> 5);
    // Most of what is wrong then is only found by the check sum at the end.
    if let Ok(damaged) = read(&damaged, &options) {
        assert!(is_told(&damaged) || damaged.batch == whole.batch, "{:?}", damaged.origin.warnings);
    }
});

/// A log of two columns: a record of the lines of `content`, whatever is in them, and one that is sure.
fn log(content: &[u8], is_json: bool) -> Vec<u8> {
    let mut log = if is_json { Vec::new() } else { b"a,b\n".to_vec() };
    for line in iter::once(b"x,y".as_slice()).chain(content.split(|&b| b == b'\n')) {
        if is_json {
            let (a, b) = line.split_at(line.len() / 2);
            let [a, b] = [a, b].map(String::from_utf8_lossy);
            log.extend_from_slice(serde_json::json!({"a": a, "b": b}).to_string().as_bytes());
        } else {
            // Which quotes are closed is only known at the end.
            log.extend(line.iter().filter(|&&b| b != b'"'));
        }
        log.push(b'\n');
    }
    log
}

/// In parts, so that some of them can be read without the others.
fn compress(codec: u8, log: &[u8], n_parts: usize) -> io::Result<Vec<u8>> {
    fn write(mut to: impl Write, log: &[u8], n_parts: usize) -> io::Result<()> {
        for part in log.chunks(log.len().div_ceil(n_parts.max(1))) {
            to.write_all(part)?;
            to.flush()?;
        }
        Ok(())
    }
    match codec {
        0 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            write(&mut encoder, log, n_parts)?;
            encoder.finish()
        }
        1 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            write(&mut encoder, log, n_parts)?;
            encoder.finish()
        }
        _ => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
            encoder.include_checksum(true)?;
            write(&mut encoder, log, n_parts)?;
            encoder.finish()
        }
    }
}

fn read(bytes: &[u8], options: &ReadOptions) -> Result<Events, SourceError> {
    let (_file, paths) = file(bytes, ".log");
    let events = read_events(&paths, options).inspect_err(|error| assert_printable(&error.to_string()))?;
    events.origin.warnings.iter().for_each(|warning| assert_printable(warning));
    let rows: Vec<usize> = (0..events.batch.num_rows()).collect();
    raw_lines(&events.origin, &rows).expect("what was read can be read again");
    Ok(events)
}

fn is_told(events: &Events) -> bool {
    events.origin.warnings.iter().any(|warning| warning.contains("cannot be read beyond row"))
}
