//! The text of a configuration file, and which parts of it may be shown to people.
//!
//! An error message shows the line that it is about. The file should hold no secret, but the moment when somebody did
//! write one into it is exactly the moment when an error is shown. So nothing of the file is shown unless a reader has
//! recognised it as something that cannot be secret ([`SourceText::allow`]); everything else becomes `…`.

use std::ops::Range;

/// Longer lines are not shown: nobody could find the place in them.
const LONGEST_LINE: usize = 160;

/// A configuration file's text.
#[derive(Clone, Default)]
pub(super) struct SourceText {
    text: String,
    /// Byte offsets of the starts of lines.
    lines: Vec<usize>,
    /// Byte ranges that may be shown.
    shown: Vec<Range<usize>>,
}

/// A place in the file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    /// In characters.
    pub(super) column: usize,
}

/// A line prepared for showing, with the marker below it.
pub(super) struct Excerpt {
    pub(super) line: String,
    pub(super) marker: String,
}

impl SourceText {
    pub(super) fn new(text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines, shown: Vec::new() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Declares that this part holds no secret. Only its first line counts: a string that was not closed can reach
    /// over everything that follows.
    pub(super) fn allow(&mut self, span: Range<usize>) {
        let end = self.line_span(self.line_of(span.start)).end;
        self.shown.push(span.start..span.end.min(end));
    }

    /// Declares that lines which are nothing but the header of one of these tables hold no secret.
    pub(super) fn allow_headers(&mut self, tables: &[String]) {
        for line in 0..self.lines.len() {
            let span = self.line_span(line);
            let text = self.text.get(span.clone()).unwrap_or_default().trim();
            let name = text.trim_start_matches('[').trim_end_matches(']');
            if text.starts_with('[') && tables.iter().any(|table| table == name) {
                self.allow(span);
            }
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The bytes of a line without its end.
    fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or_default();
        start..start + text.trim_end_matches(['\n', '\r']).len()
    }

    /// Where a byte offset is.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line_of(offset);
        let start = self.line_span(line).start;
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        Place { line: line + 1, column: before.chars().count() + 1 }
    }

    /// The line in which `span` begins, up to the end of `span`, with everything left out that may not be shown.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> Option<Excerpt> {
        let whole = self.line_span(self.line_of(span.start));
        let end = span.end.clamp(span.start, whole.end.max(span.start)).min(whole.end);
        let mut line = String::new();
        let mut marker = String::new();
        let mut hidden = false;
        for (at, c) in self.text.get(whole.start..end)?.char_indices().map(|(at, c)| (whole.start + at, c)) {
            // White space and the signs between keys and values say nothing, unless they continue something hidden.
            let sign = matches!(c, ' ' | '\t' | '=' | '[' | ']' | '{' | '}' | ',' | '.') && !hidden;
            let visible = sign || (!c.is_control() && self.shown.iter().any(|shown| shown.contains(&at)));
            let mark = if span.contains(&at) { '^' } else { ' ' };
            match (visible, hidden) {
                (true, false) => {
                    line.push(c);
                    marker.push(if c == '\t' { c } else { mark });
                }
                (true, true) => {
                    line.extend([' ', c]);
                    marker.extend([' ', mark]);
                }
                (false, false) => {
                    line.push('…');
                    marker.push(mark);
                }
                (false, true) if mark == '^' => {
                    marker.pop();
                    marker.push(mark);
                }
                (false, true) => {}
            }
            hidden = !visible;
        }
        if !marker.contains('^') {
            marker.push('^');
        }
        let rest = self.text.get(end..whole.end).unwrap_or_default().trim_end();
        if rest.chars().all(|c| matches!(c, ' ' | ']' | '}')) {
            line.push_str(rest);
        } else if !line.ends_with('…') {
            line.push_str(" …");
        }
        (line.chars().count() <= LONGEST_LINE).then(|| Excerpt { line, marker: marker.trim_end().to_owned() })
    }
}
