//! Lists and suggestions in messages.

/// `a`, `b`, `c`
pub(super) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The candidate that was probably meant, if any is near enough.
pub(super) fn closest<'a, S: AsRef<str>>(word: &str, candidates: &'a [S]) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .iter()
        .map(|candidate| {
            (strsim::jaro_winkler(&word, &candidate.as_ref().to_lowercase()), candidate.as_ref())
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= 0.85)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`? allowed here: …"
pub(super) fn suggestion<S: AsRef<str>>(word: &str, candidates: &[S]) -> String {
    let allowed = listed(candidates);
    match closest(word, candidates) {
        Some(meant) => format!("did you mean `{meant}`? allowed here: {allowed}"),
        None => format!("allowed here: {allowed}"),
    }
}
