//! CBOR, as much of RFC 8949 as Smithy's protocol uses: enough to read every well-formed request and write any answer.
//!
//! Byte strings do not occur in the operations that are played and count as malformed.

use serde_json::{Map, Number, Value};

/// More nesting than this is malformed.
const DEEPEST: usize = 64;

/// Reads one item that fills the whole input.
pub(crate) fn decode(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { rest: bytes };
    let value = reader.item(0)??;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (head, tail) = self.rest.split_at_checked(count)?;
        self.rest = tail;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// The argument of a head; `None` inside means indefinite length.
    fn argument(&mut self, info: u8) -> Option<Option<u64>> {
        let width = match info {
            0..=23 => return Some(Some(u64::from(info))),
            24..=27 => 1 << (info - 24),
            31 => return Some(None),
            _ => return None,
        };
        Some(Some(self.take(width)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))))
    }

    /// One item; `None` inside is the break that ends an indefinite length.
    fn item(&mut self, depth: usize) -> Option<Option<Value>> {
        if depth > DEEPEST {
            return None;
        }
        let head = self.byte()?;
        let (major, info) = (head >> 5, head & 31);
        if head == 0xff {
            return Some(None);
        }
        let value = match major {
            0 => self.argument(info)??.into(),
            1 => {
                let number = i64::try_from(self.argument(info)??).ok()?;
                (-1 - number).into()
            }
            3 => match self.argument(info)? {
                Some(length) => self.text(length)?.into(),
                None => {
                    let mut whole = String::new();
                    while let Some(part) = self.item(depth + 1)? {
                        whole.push_str(part.as_str()?);
                    }
                    whole.into()
                }
            },
            4 => {
                let length = self.argument(info)?;
                let mut list = Vec::new();
                while length.is_none_or(|length| (list.len() as u64) < length) {
                    match self.item(depth + 1)? {
                        Some(value) => list.push(value),
                        None if length.is_none() => break,
                        None => return None,
                    }
                }
                list.into()
            }
            5 => {
                let length = self.argument(info)?;
                let (mut map, mut count) = (Map::new(), 0);
                while length.is_none_or(|length| count < length) {
                    match self.item(depth + 1)? {
                        Some(Value::String(key)) => {
                            let value = self.item(depth + 1)??;
                            map.insert(key, value);
                            count += 1;
                        }
                        None if length.is_none() => break,
                        _ => return None,
                    }
                }
                map.into()
            }
            // Points in time are tagged numbers.
            6 => {
                self.argument(info)??;
                self.item(depth + 1)??
            }
            7 => match info {
                20 => false.into(),
                21 => true.into(),
                22 | 23 => Value::Null,
                26 => {
                    let bits = u32::try_from(self.argument(info)??).ok()?;
                    Number::from_f64(f64::from(f32::from_bits(bits)))?.into()
                }
                27 => Number::from_f64(f64::from_bits(self.argument(info)??))?.into(),
                _ => return None,
            },
            _ => return None,
        };
        Some(Some(value))
    }

    fn text(&mut self, length: u64) -> Option<String> {
        let bytes = self.take(usize::try_from(length).ok()?)?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }
}

/// Writes a value with definite lengths.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend_from_slice(&[major | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(false) => out.push(0xf4),
        Value::Bool(true) => out.push(0xf5),
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                head(0, number, out);
            } else if let Some(number) = number.as_i64() {
                head(1, number.unsigned_abs() - 1, out);
            } else {
                out.push(0xfb);
                out.extend_from_slice(&number.as_f64().unwrap_or(0.0).to_be_bytes());
            }
        }
        Value::String(text) => {
            head(3, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(list) => {
            head(4, list.len() as u64, out);
            for value in list {
                write(value, out);
            }
        }
        Value::Object(map) => {
            head(5, map.len() as u64, out);
            for (key, value) in map {
                head(3, key.len() as u64, out);
                out.extend_from_slice(key.as_bytes());
                write(value, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({ "a": [0, 23, 24, 255, 256, 65_536, 4_294_967_296_u64, -1, -500, 1.5], "b": null, "c": true,
            "long": "x".repeat(300), "ü": { "nested": [] } });
        assert_eq!(decode(&encode(&value)), Some(value));
    }

    #[test]
    fn indefinite_lengths_are_read_and_rubbish_is_not() {
        assert_eq!(decode(b"\xbf\x61a\x9f\x01\x02\xff\xff"), Some(json!({ "a": [1, 2] })));
        assert_eq!(decode(b"\x7f\x61a\x61b\xff"), Some(json!("ab")));
        for bad in [&b""[..], b"\xff", b"\x82\x01", b"\x61", b"\x01\x01", b"\xbf\x01\x02\xff", b"\x41x"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
        assert_eq!(decode(&[0x81; 100_000]), None);
    }
}
