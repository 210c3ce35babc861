//! How the installer says what came of it: exit codes and their reasons (docs/enrolment.md).

/// Every reason with its exit code.
const REASONS: [(&str, i32); 22] = [
    ("ok", 0),
    ("unsupported-os", 10),
    ("unsupported-architecture", 11),
    ("disk-full", 12),
    ("no-dns", 14),
    ("endpoint-unreachable", 15),
    ("proxy-refused", 16),
    ("source-unreachable", 17),
    ("not-privileged", 18),
    ("download-failed", 20),
    ("verification-failed", 21),
    ("package-manager-busy", 22),
    ("install-failed", 23),
    ("agent-absent", 24),
    ("agent-too-old", 25),
    ("activation-refused", 30),
    ("registration-failed", 31),
    ("registered-elsewhere", 32),
    ("service-not-started", 33),
    ("bad-parameters", 40),
    ("internal", 41),
    ("unknown-program", 127),
];

/// The exit code of a reason; that of `internal` for a word that is none.
pub(super) fn code(reason: &str) -> i32 {
    REASONS.iter().find(|(word, _)| *word == reason).map_or(41, |(_, code)| *code)
}

/// The reason that an exit code stands for.
pub(super) fn reason(code: i32) -> &'static str {
    REASONS.iter().find(|(_, known)| *known == code).map_or("internal", |(word, _)| word)
}
