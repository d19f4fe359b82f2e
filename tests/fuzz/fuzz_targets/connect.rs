#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bucketwheel_fuzz::connect(data));
