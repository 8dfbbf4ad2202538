//! What a colour stands for, and its value in the light and the dark theme.
//!
//! The series are Okabe and Ito's palette, told apart by readers with any common colour vision; in the dark theme the
//! darker ones are lightened. Okabe & Ito, *Color Universal Design* (2008).

use std::fmt::Write as _;
use std::sync::LazyLock;

/// Red, green and blue, each 0 to 255.
pub(crate) type Rgb = [u8; 3];

/// Colours that tell classes or metrics apart.
pub(crate) const N_SERIES: usize = 7;

/// Shades of a heat map, from none to full.
pub(crate) const N_HEAT: usize = 7;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Background,
    Foreground,
    Muted,
    Grid,
    /// One of [`N_SERIES`]; larger numbers start over.
    Series(usize),
    /// A cell holding this share, 0 to [`N_HEAT`] − 1 in sevenths, of its row.
    Heat(usize),
    /// Text on that cell.
    OnHeat(usize),
}

struct Colour {
    name: String,
    light: Rgb,
    dark: Rgb,
}

const LIGHT_BACKGROUND: Rgb = [0xff, 0xff, 0xff];
const DARK_BACKGROUND: Rgb = [0x16, 0x1b, 0x22];
const LIGHT_INK: Rgb = [0x12, 0x16, 0x1c];
const DARK_INK: Rgb = [0xe8, 0xec, 0xf1];

const SERIES: [(Rgb, Rgb); N_SERIES] = [
    ([0x00, 0x72, 0xb2], [0x56, 0xb4, 0xe9]),
    ([0xd5, 0x5e, 0x00], [0xf2, 0x85, 0x3a]),
    ([0x00, 0x9e, 0x73], [0x2c, 0xc9, 0x9c]),
    ([0xcc, 0x79, 0xa7], [0xe3, 0x9c, 0xc6]),
    ([0xe6, 0x9f, 0x00], [0xf2, 0xbc, 0x45]),
    ([0x56, 0xb4, 0xe9], [0x3f, 0x8f, 0xd6]),
    ([0x5b, 0x63, 0x70], [0xa9, 0xb2, 0xbf]),
];

/// How far each shade lies from the background to the first series colour. The middle is skipped: neither dark nor light
/// text reaches a contrast of 4.5 there.
const HEAT: [(f64, f64); N_HEAT] =
    [(0.05, 0.06), (0.14, 0.14), (0.26, 0.22), (0.40, 0.30), (0.56, 0.67), (1.0, 0.82), (1.15, 1.0)];

/// Shades from this one on carry text in the other ink.
const LIGHT_HEAT_TURNS: usize = 5;
const DARK_HEAT_TURNS: usize = 4;

static COLOURS: LazyLock<Vec<Colour>> = LazyLock::new(|| {
    let colour = |name: &str, light, dark| Colour { name: name.to_owned(), light, dark };
    let mut colours = vec![
        colour("bg", LIGHT_BACKGROUND, DARK_BACKGROUND),
        colour("fg", LIGHT_INK, DARK_INK),
        colour("muted", [0x55, 0x5f, 0x6b], [0xa3, 0xad, 0xba]),
        colour("grid", [0xdd, 0xe1, 0xe6], [0x30, 0x37, 0x41]),
    ];
    colours.extend(SERIES.iter().enumerate().map(|(i, &(light, dark))| colour(&format!("s{i}"), light, dark)));
    let (light_full, dark_full) = SERIES[0];
    colours.extend(HEAT.iter().enumerate().map(|(i, &(light, dark))| {
        colour(&format!("h{i}"), mix(LIGHT_BACKGROUND, light_full, light), mix(DARK_BACKGROUND, dark_full, dark))
    }));
    colours.extend((0..N_HEAT).map(|i| {
        let light = if i < LIGHT_HEAT_TURNS { LIGHT_INK } else { LIGHT_BACKGROUND };
        let dark = if i < DARK_HEAT_TURNS { [0xff, 0xff, 0xff] } else { [0x08, 0x0a, 0x0d] };
        colour(&format!("t{i}"), light, dark)
    }));
    colours
});

impl Role {
    fn colour(self) -> &'static Colour {
        let index = match self {
            Self::Background => 0,
            Self::Foreground => 1,
            Self::Muted => 2,
            Self::Grid => 3,
            Self::Series(i) => 4 + i % N_SERIES,
            Self::Heat(i) => 4 + N_SERIES + i.min(N_HEAT - 1),
            Self::OnHeat(i) => 4 + N_SERIES + N_HEAT + i.min(N_HEAT - 1),
        };
        &COLOURS[index]
    }

    /// Its value in the light theme.
    pub(crate) fn light(self) -> Rgb {
        self.colour().light
    }

    /// Its name in the style sheet.
    pub(crate) fn name(self) -> &'static str {
        &self.colour().name
    }
}

/// The style sheet by which pictures inside a page follow its theme: one custom property a role, set for the light theme
/// and, on a screen that prefers it, for the dark one. Paper is always light.
pub(crate) fn style_sheet() -> &'static str {
    static SHEET: LazyLock<String> = LazyLock::new(|| {
        let properties = |value: fn(&Colour) -> Rgb| {
            COLOURS.iter().fold(String::new(), |mut css, colour| {
                let _ = write!(css, "--{}:{};", colour.name, hex(value(colour)));
                css
            })
        };
        let mut css = format!(
            ":root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n",
            properties(|c| c.light),
            properties(|c| c.dark)
        );
        for colour in COLOURS.iter() {
            let _ = writeln!(css, ".f-{0}{{fill:var(--{0})}}.l-{0}{{stroke:var(--{0})}}", colour.name);
        }
        css
    });
    &SHEET
}

/// `#rrggbb`.
pub(crate) fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn mix(from: Rgb, to: Rgb, share: f64) -> Rgb {
    std::array::from_fn(|i| {
        let (a, b) = (f64::from(from[i]), f64::from(to[i]));
        // Beyond 1 the colour goes on in the same direction, to black or white at most.
        (a + (b - a) * share).round().clamp(0.0, 255.0) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast of WCAG 2.2.
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let luminance = |rgb: Rgb| {
            let linear = rgb.map(|c| {
                let c = f64::from(c) / 255.0;
                if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn contrast_of_black_on_white_is_21() {
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn text_can_be_read_in_both_themes() {
        let mut pairs = vec![(Role::Foreground, Role::Background), (Role::Muted, Role::Background)];
        pairs.extend((0..N_HEAT).map(|i| (Role::OnHeat(i), Role::Heat(i))));
        for (text, ground) in pairs {
            let (light, dark) =
                (contrast(text.light(), ground.light()), contrast(text.colour().dark, ground.colour().dark));
            assert!(light >= 4.5 && dark >= 4.5, "{text:?} on {ground:?}: {light:.2} light, {dark:.2} dark");
        }
    }

    #[test]
    fn shades_grow_stronger() {
        for i in 1..N_HEAT {
            for (ground, shade) in [
                (LIGHT_BACKGROUND, [Role::Heat(i - 1).light(), Role::Heat(i).light()]),
                (DARK_BACKGROUND, [Role::Heat(i - 1).colour().dark, Role::Heat(i).colour().dark]),
            ] {
                assert!(contrast(ground, shade[0]) < contrast(ground, shade[1]), "shade {i}");
            }
        }
    }

    #[test]
    fn series_differ_and_stand_out() {
        for i in 0..N_SERIES {
            assert!(contrast(Role::Series(i).light(), LIGHT_BACKGROUND) >= 2.0, "series {i}");
            assert!(contrast(Role::Series(i).colour().dark, DARK_BACKGROUND) >= 3.0, "series {i}");
            for j in 0..i {
                assert_ne!(Role::Series(i).light(), Role::Series(j).light());
            }
        }
        assert_eq!(Role::Series(N_SERIES).light(), Role::Series(0).light());
    }
}
