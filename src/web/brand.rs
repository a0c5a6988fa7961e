//! A provider's colour on the pages: what it says in `brand.css`, with the contrasts computed, so that
//! no colour makes a page unreadable (WCAG 2.2, 1.4.3: 4.5:1).

/// sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color([u8; 3]);

/// What links stand on: `--card` of `style.css` in both palettes.
const LIGHT: Color = Color([0xff, 0xff, 0xff]);
const DARK: Color = Color([0x17, 0x1b, 0x22]);
/// Text on a button of a light colour.
const INK: Color = Color([0x00, 0x00, 0x00]);
const ENOUGH: f64 = 4.5;

impl Color {
    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |digits: &&str| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = text.strip_prefix('#').filter(is_hex)?;
        let part = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }

    /// `rrggbb`.
    pub fn hex(self) -> String {
        self.0.iter().map(|part| format!("{part:02x}")).collect()
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// White or black, whichever reads better on this colour; one of them always reads well enough.
    fn on_it(self) -> Self {
        if self.contrast(LIGHT) >= ENOUGH { LIGHT } else { INK }
    }

    /// The colour nearest to this one that can be read on `ground`: moved towards `towards` in steps.
    fn readable_on(self, ground: Self, towards: Self) -> Self {
        let mix = |share: u16| {
            let part = |own: u8, other: u8| {
                let mixed = (u16::from(own) * (20 - share) + u16::from(other) * share) / 20;
                u8::try_from(mixed).unwrap_or(u8::MAX)
            };
            Self(std::array::from_fn(|at| part(self.0[at], towards.0[at])))
        };
        (0..=20).map(mix).find(|color| color.contrast(ground) >= ENOUGH).unwrap_or(towards)
    }
}

/// The stylesheet that replaces the colours of `style.css`.
pub fn stylesheet(color: Color) -> String {
    let light = color.readable_on(LIGHT, INK).hex();
    let dark = color.readable_on(DARK, LIGHT).hex();
    format!(
        ":root{{--brand:#{};--on-brand:#{};--accent:#{light}}}\n\
         @media (prefers-color-scheme:dark){{:root{{--accent:#{dark}}}}}\n",
        color.hex(),
        color.on_it().hex(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(Color::parse("#2f55C8").unwrap().hex(), "2f55c8");
        for bad in ["2f55c8", "#fff", "#gggggg", "#2f55c8;", "#+12345", "#ääa"] {
            assert_eq!(Color::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_colour_gives_text_that_can_be_read() {
        for number in 0..4096_u32 {
            let part = |shift: u32| u8::try_from((number >> shift & 15) * 17).unwrap();
            let color = Color([part(0), part(4), part(8)]);
            assert!(color.contrast(color.on_it()) >= ENOUGH, "{color:?}");
            assert!(color.readable_on(LIGHT, INK).contrast(LIGHT) >= ENOUGH, "{color:?}");
            assert!(color.readable_on(DARK, LIGHT).contrast(DARK) >= ENOUGH, "{color:?}");
        }
    }

    #[test]
    fn the_contrasts_are_those_of_the_specification() {
        assert!((LIGHT.contrast(INK) - 21.0).abs() < 0.001);
        assert!((Color::parse("#767676").unwrap().contrast(LIGHT) - 4.54).abs() < 0.01);
    }
}
