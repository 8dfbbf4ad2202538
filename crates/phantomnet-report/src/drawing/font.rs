//! The embedded fonts: widths for laying text out, pixels for drawing it.
//!
//! Both are DejaVu Sans cut to Latin, Greek, Cyrillic, punctuation and common mathematics. An SVG asks for the reader's
//! own interface font first; DejaVu is wider than those, so what fits here fits there.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, PxScale};

use super::{Anchor, Text, Weight};
use crate::visible::is_hidden;

static REGULAR: LazyLock<FontRef<'static>> =
    LazyLock::new(|| parse(include_bytes!("../../assets/DejaVuSans.subset.ttf")));
static BOLD: LazyLock<FontRef<'static>> =
    LazyLock::new(|| parse(include_bytes!("../../assets/DejaVuSans-Bold.subset.ttf")));

fn parse(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded font is a font")
}

fn font(weight: Weight) -> &'static FontRef<'static> {
    match weight {
        Weight::Regular => &REGULAR,
        Weight::Bold => &BOLD,
    }
}

fn advance(c: char, size: f32, weight: Weight) -> f32 {
    let font = font(weight);
    font.h_advance_unscaled(font.glyph_id(c)) * size / units_per_em(font)
}

fn units_per_em(font: &FontRef<'_>) -> f32 {
    font.units_per_em().unwrap_or(2048.0)
}

/// Width of one line, in the unit of `size`.
pub(crate) fn width(text: &str, size: f32, weight: Weight) -> f32 {
    text.chars().map(|c| advance(c, size, weight)).sum()
}

/// `text` cut to at most `max_width` with its ellipsis, which alone always stays; hidden characters replaced by U+FFFD.
pub(crate) fn fit(text: &str, size: f32, weight: Weight, max_width: f32) -> String {
    let ellipsis = advance('…', size, weight);
    let mut fitted = String::new();
    let (mut width, mut cut) = (0.0, 0);
    for c in text.chars() {
        let c = if is_hidden(c) { '\u{fffd}' } else { c };
        width += advance(c, size, weight);
        if width > max_width {
            fitted.truncate(cut);
            fitted.push('…');
            return fitted;
        }
        fitted.push(c);
        if width + ellipsis <= max_width {
            cut = fitted.len();
        }
    }
    fitted
}

/// Calls `ink` with column, row and coverage (0 to 1) of every pixel that a line of text touches; a pixel where two glyphs
/// meet comes twice.
///
/// Baselines lie between whole pixels, which keeps small text sharp.
pub(super) fn rasterize(text: &Text, scale: f32, mut ink: impl FnMut(i64, i64, f32)) {
    let font = font(text.weight);
    let em = text.size * scale / units_per_em(font);
    // The scale of `ab_glyph` is the height of a line, not of an em.
    let line_height = PxScale::from(font.height_unscaled() * em);
    let width = width(&text.text, text.size, text.weight) * scale;
    let start = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => width / -2.0,
        Anchor::End => -width,
    };
    let (x, y) = (text.at.0 * scale, text.at.1 * scale);
    let (mut along, across) = if text.upward { (start - y, x.round()) } else { (start + x, y.round()) };
    for c in text.text.chars() {
        // A character outside the subset has glyph 0, an empty box.
        let glyph = font.glyph_id(c);
        if let Some(outlined) =
            font.outline_glyph(glyph.with_scale_and_position(line_height, ab_glyph::point(along, across)))
        {
            let corner = outlined.px_bounds().min;
            outlined.draw(|dx, dy, coverage| {
                let (along, across) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                // Upward, the line runs against the rows: its pixel 0 is row −1.
                if text.upward { ink(across, -along - 1, coverage) } else { ink(along, across, coverage) }
            });
        }
        along += font.h_advance_unscaled(glyph) * em;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn digits_have_one_width_and_bold_is_wider() {
        let width_of = |text| width(text, 12.0, Weight::Regular);
        assert!(width_of("0") > 0.0);
        assert!((width_of("0123456789") - 10.0 * width_of("7")).abs() < 1e-3);
        assert!(width("attack", 12.0, Weight::Bold) > width_of("attack"));
    }

    #[rstest]
    #[case("short", 100.0, "short")]
    #[case("a\u{202e}b\n", 100.0, "a\u{fffd}b\u{fffd}")]
    #[case("anything", 0.0, "…")]
    #[case("", 0.0, "")]
    fn text_is_fitted(#[case] text: &str, #[case] max_width: f32, #[case] want: &str) {
        assert_eq!(fit(text, 12.0, Weight::Regular, max_width), want);
    }

    #[test]
    fn cut_text_keeps_within_its_width() {
        for max_width in [15.0, 33.3, 50.0, 90.0] {
            let cut = fit("a rather long class name", 12.0, Weight::Bold, max_width);
            assert!(cut.ends_with('…') && width(&cut, 12.0, Weight::Bold) <= max_width, "{cut}");
        }
    }

    /// Columns and rows that hold ink.
    fn extent(text: &Text) -> Option<((i64, i64), (i64, i64))> {
        let mut extent: Option<((i64, i64), (i64, i64))> = None;
        rasterize(text, 1.0, |x, y, coverage| {
            if coverage > 0.1 {
                let ((left, right), (top, bottom)) = extent.unwrap_or(((x, x), (y, y)));
                extent = Some(((left.min(x), right.max(x)), (top.min(y), bottom.max(y))));
            }
        });
        extent
    }

    #[test]
    fn a_character_outside_the_subset_is_a_visible_box() {
        let ((left, right), _) = extent(&Text::new((0.0, 20.0), "漢", 12.0)).expect("ink");
        assert!(right - left > 3);
        assert_eq!(extent(&Text::new((0.0, 20.0), " ", 12.0)), None);
    }

    #[test]
    fn text_stands_on_its_baseline_and_turns_upward() {
        let text = || Text::new((50.0, 40.0), "HHHH", 12.0);
        let ((left, right), (top, bottom)) = extent(&text()).expect("ink");
        assert!(left >= 50 && right < 90 && bottom == 39 && top >= 28, "{left} {right} {top} {bottom}");
        let ((left, right), (top, bottom)) = extent(&text().upward()).expect("ink");
        assert!(right == 49 && left >= 38 && bottom < 40 && top >= 0, "{left} {right} {top} {bottom}");
        let ((left, right), _) = extent(&text().anchor(Anchor::Middle)).expect("ink");
        assert!((left + right - 99).abs() <= 2, "{left} {right}");
    }
}
