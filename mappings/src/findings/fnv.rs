//! FNV-1a with 128 bits: it tells values apart, and protects nothing.

/// As 32 hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    format!("{:032x}", hash(bytes))
}

/// The number.
pub(super) fn hash(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}
