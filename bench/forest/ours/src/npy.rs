//! NumPy's .npy files of little-endian 32-bit numbers in C order, as bench/forest/datasets.py writes them.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// An array of one or two dimensions; one of one dimension has a single column.
pub struct Array<T> {
    pub n_rows: usize,
    pub n_columns: usize,
    /// Row-major.
    pub values: Vec<T>,
}

/// A 32-bit number of a .npy file.
pub trait Number: Sized {
    /// Its type in the header.
    const DESCR: &'static str;
    fn from_bytes(bytes: [u8; 4]) -> Self;
}

impl Number for f32 {
    const DESCR: &'static str = "<f4";
    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Number for i32 {
    const DESCR: &'static str = "<i4";
    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

fn invalid(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

/// Reads the array of a file.
pub fn read<T: Number>(path: &Path) -> io::Result<Array<T>> {
    let file = File::open(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    let n_bytes = file.metadata()?.len() as usize;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    if &magic[..6] != b"\x93NUMPY" {
        return Err(invalid(path, "not a .npy file"));
    }
    let mut length = [0; 4];
    file.read_exact(&mut length[..if magic[6] == 1 { 2 } else { 4 }])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > n_bytes {
        return Err(invalid(path, "the header is longer than the file"));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header)?;
    let header = String::from_utf8_lossy(&header);
    if !header.contains(&format!("'descr': '{}'", T::DESCR)) || !header.contains("'fortran_order': False") {
        return Err(invalid(path, &format!("expected {} in C order, got {}", T::DESCR, header.trim())));
    }
    let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).map(|(shape, _)| shape);
    let shape: Option<Vec<usize>> = shape
        .map(|shape| shape.split(',').map(str::trim).filter(|n| !n.is_empty()))
        .and_then(|numbers| numbers.map(|n| n.parse().ok()).collect());
    let (n_rows, n_columns) = match shape.as_deref() {
        Some(&[n_rows]) => (n_rows, 1),
        Some(&[n_rows, n_columns]) => (n_rows, n_columns),
        _ => return Err(invalid(path, "expected one or two dimensions")),
    };
    let n_values = n_rows.checked_mul(n_columns).filter(|n| n.checked_mul(4).is_some_and(|bytes| bytes <= n_bytes));
    let n_values = n_values.ok_or_else(|| invalid(path, "the shape is larger than the file"))?;
    let mut values = Vec::with_capacity(n_values);
    let mut buffer = vec![0; 1 << 20];
    while values.len() < n_values {
        let wanted = buffer.len().min(4 * (n_values - values.len()));
        file.read_exact(&mut buffer[..wanted])?;
        values.extend(buffer[..wanted].as_chunks().0.iter().copied().map(T::from_bytes));
    }
    Ok(Array { n_rows, n_columns, values })
}

/// Writes rows of probabilities.
pub fn write(path: &Path, n_columns: usize, values: &[f32]) -> io::Result<()> {
    let shape = format!("({}, {n_columns})", values.len() / n_columns);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version and length take 10 bytes; the values start at a multiple of 64.
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    file.flush()
}
