//! Signature Version 4: a request is believed when it is signed with the secret of its access key, now, for this service.

use aws_lc_rs::{digest, hmac};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use secrecy::SecretString;

use crate::net::Request;

/// Clocks may differ by so much.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// What RFC 3986 leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why a request is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not signed.
    Missing,
    /// Its signature lacks a part.
    Incomplete(String),
    /// Nobody has this access key, or its session token is not the one that belongs to it.
    Unknown,
    /// The signature is wrong, too old, or for something else.
    Signature(String),
    /// The session is over.
    Expired,
}

/// What the `Authorization` header says.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) token: Option<SecretString>,
    date: String,
    signed: Vec<String>,
    signature: String,
    time: String,
}

/// Reads the `Authorization` header.
pub(crate) fn claim(request: &Request) -> Result<Claim, Refusal> {
    let header = request.header("authorization").ok_or(Refusal::Missing)?;
    let Some((ALGORITHM, parts)) = header.split_once(' ') else { return Err(Refusal::Missing) };
    let part = |name: &str| {
        let found = parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        found.filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(|| {
            Refusal::Incomplete(format!(
                "Authorization header requires '{name}' parameter. Authorization={header}"
            ))
        })
    };
    let (credential, signed, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let mut scope = credential.rsplitn(5, '/');
    let mut next = || scope.next().filter(|part| !part.is_empty()).map(str::to_owned);
    let (Some(end), Some(service), Some(region), Some(date), Some(access_key)) =
        (next(), next(), next(), next(), next())
    else {
        return Err(Refusal::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
        )));
    };
    if end != "aws4_request" {
        return Err(Refusal::Signature(format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{end}'."
        )));
    }
    let time = request.header("x-amz-date").ok_or_else(|| {
        Refusal::Incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
        )
    })?;
    Ok(Claim {
        access_key,
        region,
        service,
        token: request.header("x-amz-security-token").map(SecretString::from),
        date,
        signed: signed.split(';').map(str::to_owned).collect(),
        signature,
        time: time.to_owned(),
    })
}

impl Claim {
    /// Checks that the request was signed with this secret, and not long ago.
    pub(crate) fn verify(&self, request: &Request, secret: &str, now: Timestamp) -> Result<(), Refusal> {
        self.headers_are_signed(request, &[])?;
        let to_sign = self.to_sign(request, now)?;
        let key = [&self.date, &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| sign(&key, part));
        if hex(&sign(&key, &to_sign)) == self.signature {
            return Ok(());
        }
        Err(Refusal::Signature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
             Key and signing method. Consult the service documentation for details."
                .to_owned(),
        ))
    }

    /// What the agent of a node signs with its own key. It adds the hash of the body after it has chosen what is signed;
    /// the hash is signed all the same, being a part of the text.
    pub(crate) fn text_to_sign(&self, request: &Request, now: Timestamp) -> Result<String, Refusal> {
        self.headers_are_signed(request, &["x-amz-content-sha256"])?;
        self.to_sign(request, now)
    }

    /// The signature as it was written.
    pub(crate) fn signature(&self) -> &str {
        &self.signature
    }

    fn headers_are_signed(&self, request: &Request, but: &[&str]) -> Result<(), Refusal> {
        for name in request.headers.keys().map(hyper::header::HeaderName::as_str) {
            let must = (name == "host" || name.starts_with("x-amz-")) && !but.contains(&name);
            if must && !self.signed.iter().any(|signed| signed == name) {
                return Err(Refusal::Signature(format!(
                    "'{name}' must be a 'SignedHeader' in the AWS Authorization."
                )));
            }
        }
        Ok(())
    }

    /// The text that a signature of this request, made not long ago, is of.
    fn to_sign(&self, request: &Request, now: Timestamp) -> Result<String, Refusal> {
        let wrong = |text: &str| Refusal::Signature(text.to_owned());
        let time = read_time(&self.time).ok_or_else(|| {
            wrong("Date must be in ISO-8601 'basic format'. Check the value of 'X-Amz-Date'.")
        })?;
        if !self.time.starts_with(&self.date) {
            return Err(wrong(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.",
            ));
        }
        let short = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        if now.duration_since(time) > TOLERANCE {
            return Err(Refusal::Signature(format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                self.time,
                short(now - TOLERANCE),
                short(now)
            )));
        }
        if time.duration_since(now) > TOLERANCE {
            return Err(Refusal::Signature(format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                self.time,
                short(now + TOLERANCE),
                short(now)
            )));
        }
        let hash = hex(digest::digest(&digest::SHA256, &request.body).as_ref());
        if request.header("x-amz-content-sha256").is_some_and(|told| told != hash) {
            return Err(wrong(
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ));
        }
        let canonical = self.canonical(request, &hash).ok_or_else(|| {
            wrong("A header that is named in SignedHeaders is not there, or the names are not sorted.")
        })?;
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        Ok(format!("{ALGORITHM}\n{}\n{scope}\n{digest}", self.time))
    }

    fn canonical(&self, request: &Request, hash: &str) -> Option<String> {
        if !self.signed.is_sorted() {
            return None;
        }
        let segments: Vec<String> = request
            .path
            .split('/')
            .map(|segment| utf8_percent_encode(segment, UNRESERVED).to_string())
            .collect();
        let mut query: Vec<(String, String)> = request
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let again = |text: &str| {
                    utf8_percent_encode(&percent_decode_str(text).decode_utf8_lossy(), UNRESERVED).to_string()
                };
                (again(name), again(value))
            })
            .collect();
        query.sort();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = String::new();
        for name in &self.signed {
            let values: Option<Vec<String>> = request
                .headers
                .get_all(name)
                .iter()
                .map(|value| Some(value.to_str().ok()?.split_whitespace().collect::<Vec<_>>().join(" ")))
                .collect();
            let values = values.filter(|values| !values.is_empty())?;
            headers.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        Some(format!(
            "{}\n{}\n{}\n{headers}\n{}\n{hash}",
            request.method,
            segments.join("/"),
            query.join("&"),
            self.signed.join(";")
        ))
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads `20260101T120000Z`.
fn read_time(text: &str) -> Option<Timestamp> {
    let fits = text.len() == 16 && text.is_ascii();
    let rest = text.get(9..15).filter(|_| fits)?;
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        text.get(..4)?,
        text.get(4..6)?,
        text.get(6..8)?,
        rest.get(..2)?,
        rest.get(2..4)?,
        rest.get(4..)?
    )
    .parse()
    .ok()
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;

    /// The example of the AWS documentation (`get-vanilla-query-order-key-case` of its test suite).
    fn vanilla(query: &str) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("host", "example.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        let signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        headers.insert("authorization", authorization.parse().unwrap());
        Request { method: "GET".into(), path: "/".into(), query: query.into(), headers, body: Vec::new() }
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    #[test]
    fn the_example_of_aws_is_believed_and_nothing_near_it() {
        let now: Timestamp = "2015-08-30T12:38:00Z".parse().unwrap();
        let request = vanilla("Param2=value2&Param1=value1");
        let claim = claim(&request).unwrap();
        assert_eq!((claim.region.as_str(), claim.service.as_str()), ("us-east-1", "service"));
        assert_eq!(claim.verify(&request, SECRET, now), Ok(()));
        assert!(matches!(claim.verify(&request, "other", now), Err(Refusal::Signature(_))));
        let late = now + SignedDuration::from_mins(5);
        let told = claim.verify(&request, SECRET, late).unwrap_err();
        assert!(
            matches!(told, Refusal::Signature(text) if text.starts_with("Signature expired: 20150830T123600Z is now"))
        );
        assert!(claim.verify(&vanilla("Param1=value2&Param2=value1"), SECRET, now).is_err());
        let mut unsigned = vanilla("Param2=value2&Param1=value1");
        unsigned.headers.insert("x-amz-target", "AmazonSSM.X".parse().unwrap());
        assert!(claim.verify(&unsigned, SECRET, now).is_err());
    }

    #[test]
    fn half_a_signature_is_told_so() {
        let mut request = vanilla("");
        request.headers.remove("authorization");
        assert!(matches!(claim(&request), Err(Refusal::Missing)));
        request
            .headers
            .insert("authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request".parse().unwrap());
        assert!(matches!(claim(&request), Err(Refusal::Incomplete(_))));
    }
}
