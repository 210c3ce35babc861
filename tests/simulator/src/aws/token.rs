//! Tokens for the next page: opaque, and good only for the query that they were given for.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::soap::session::random_hex;

/// Makes and reads tokens; another simulator's tokens mean nothing to it.
#[derive(Debug)]
pub(crate) struct Tokens(hmac::Key);

const MAC: usize = 16;

impl Tokens {
    pub(crate) fn new() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random_hex().as_bytes()))
    }

    fn mac(&self, query: &str, last: &[u8]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(query.as_bytes());
        context.update(&[0]);
        context.update(last);
        context.sign().as_ref()[..MAC].to_vec()
    }

    /// Hides the position, so that no client makes sense of a token.
    fn veil(&self, mac: &[u8], bytes: &[u8]) -> Vec<u8> {
        let blocks = (0_u8..).flat_map(|block| {
            let mut context = hmac::Context::with_key(&self.0);
            context.update(mac);
            context.update(&[block]);
            context.sign().as_ref().to_vec()
        });
        bytes.iter().zip(blocks).map(|(byte, mask)| byte ^ mask).collect()
    }

    /// A token to go on after `last` in what `query` describes.
    pub(crate) fn give(&self, query: &str, last: &str) -> String {
        let mac = self.mac(query, last.as_bytes());
        let hidden = self.veil(&mac, last.as_bytes());
        STANDARD.encode([mac, hidden].concat())
    }

    /// Where to go on; `None` when the token was not given for this query.
    pub(crate) fn take(&self, query: &str, token: &str) -> Option<String> {
        let bytes = STANDARD.decode(token).ok()?;
        let (mac, hidden) = bytes.split_at_checked(MAC)?;
        let last = self.veil(mac, hidden);
        (self.mac(query, &last) == mac).then(|| String::from_utf8(last).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_query_only() {
        let tokens = Tokens::new();
        let token = tokens.give("query", "mi-0123456789abcdef0");
        assert_eq!(tokens.take("query", &token).as_deref(), Some("mi-0123456789abcdef0"));
        for (query, token) in
            [("other", token.as_str()), ("query", ""), ("query", "rubbish"), ("query", "AAAA")]
        {
            assert_eq!(tokens.take(query, token), None);
        }
        assert_eq!(Tokens::new().take("query", &token), None);
    }
}
