//! Builds HTML and SVG so that forgetting to escape does not compile.
//!
//! Tag names, attribute names and verbatim pieces are `&'static str`, that is literals of this crate; whatever comes from
//! outside can only enter as text or as an attribute value, and both are escaped. Elements close themselves.

use crate::visible::{is_hidden, push_escape};

/// A growing piece of HTML or SVG.
#[derive(Debug, Default)]
pub(crate) struct Markup {
    out: String,
}

/// An attribute: its name and its value, not yet escaped.
pub(crate) type Attr<'a> = (&'static str, &'a str);

impl Markup {
    /// An element with `inside` between its tags.
    pub(crate) fn tag(&mut self, name: &'static str, attrs: &[Attr<'_>], inside: impl FnOnce(&mut Self)) {
        self.start(name, attrs);
        self.out.push('>');
        inside(self);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// An element that holds text only.
    pub(crate) fn leaf(&mut self, name: &'static str, attrs: &[Attr<'_>], text: &str) {
        self.tag(name, attrs, |m| m.text(text));
    }

    /// An element without content.
    pub(crate) fn empty(&mut self, name: &'static str, attrs: &[Attr<'_>]) {
        self.start(name, attrs);
        self.out.push_str("/>");
    }

    /// Text, escaped.
    pub(crate) fn text(&mut self, text: &str) {
        escape_into(&mut self.out, text);
    }

    /// A literal of this crate, as it is.
    pub(crate) fn verbatim(&mut self, literal: &'static str) {
        self.out.push_str(literal);
    }

    /// Markup built elsewhere by this type, already escaped.
    pub(crate) fn append(&mut self, other: &Markup) {
        self.out.push_str(&other.out);
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn start(&mut self, name: &'static str, attrs: &[Attr<'_>]) {
        self.out.push('<');
        self.out.push_str(name);
        for (attr, value) in attrs {
            self.out.push(' ');
            self.out.push_str(attr);
            self.out.push_str("=\"");
            escape_into(&mut self.out, value);
            self.out.push('"');
        }
    }
}

/// Escapes text for element content and for quoted attributes, of HTML and of XML.
///
/// Line feed and tab stay, for preformatted text; every other hidden character becomes a visible escape, which also keeps
/// characters that XML forbids out of an SVG.
fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if is_hidden(c) => push_escape(out, c),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a < b & c", "a &lt; b &amp; c")]
    #[case("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;")]
    #[case("\" onerror=\"x", "&quot; onerror=&quot;x")]
    #[case("key = 1\n\tnext", "key = 1\n\tnext")]
    #[case("\u{0}\u{8}\r\u{202e}", "\\x00\\x08\\r\\u{202e}")]
    #[case("héé漢😀", "héé漢😀")]
    fn text_and_attributes_are_escaped_alike(#[case] text: &str, #[case] want: &str) {
        let mut markup = Markup::default();
        markup.tag("p", &[("title", text)], |m| m.text(text));
        assert_eq!(markup.finish(), format!("<p title=\"{want}\">{want}</p>"));
    }

    #[test]
    fn elements_nest_and_close() {
        let mut markup = Markup::default();
        markup.tag("ul", &[], |m| {
            m.leaf("li", &[], "one");
            m.empty("br", &[("class", "x")]);
        });
        assert_eq!(markup.finish(), "<ul><li>one</li><br class=\"x\"/></ul>");
    }
}
