//! Which values nobody may see. Refuses to look at the value: only the key's name decides.

/// What stands in for a secret value.
pub(super) const REDACTED: &str = "*********(redacted)";

const MARKS: [&str; 6] = ["secret", "password", "token", "credential", "access.key", "accesskey"];

/// Whether the key's name looks like that of a secret.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    MARKS.iter().any(|mark| key.contains(mark))
}

/// The value as it may be shown.
pub(super) fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    if is_secret(key) { REDACTED } else { value }
}
