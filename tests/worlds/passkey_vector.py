"""A registration and a login of a real browser (contract chapter 10 §5.8): host ``localhost``, port 8912."""

HOST = "localhost:8912"
ORIGIN = f"http://{HOST}"
REGISTRATION_CHALLENGE = "6IVNRlgncIe0dnRvNyoCzRgJQp5xQd80+lQb5yhEV3c="
LOGIN_CHALLENGE = "kKBi/GBPqQpgKfBGfDeMebA7oquwCASGilFtF7DK9a0="
CREDENTIAL_ID = "0lZ7DwILbMxtbxOa7QXcIynM4zAKXaNh1VjgrlPzBzk"
PUBLIC_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESydU7HSRYjYriAFePJoQtGUzqut353GisFTi3jE0uoaS46VJr7XwOQ8PtSfVXvq2u83Gp_C2-"
    "DNavlymY-aW1w"
)
ATTESTATION = (
    "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVikSZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2NFAAAAAQECAwQFBgcIAQIDBAUGBwgAIN"
    "JWew8CC2zMbW8Tmu0F3CMpzOMwCl2jYdVY4K5T8wc5pQECAyYgASFYIEsnVOx0kWI2K4gBXjyaELRlM6rrd-dxorBU4t4xNLqGIlggkuOlSa-18DkP"
    "D7Un1V76trvNxqfwtvgzWr5cpmPmltc"
)
CREATE_CLIENT_DATA = (
    "eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIiwiY2hhbGxlbmdlIjoiNklWTlJsZ25jSWUwZG5Sdk55b0N6UmdKUXA1eFFkODAtbFFiNXloRVYzYyIsIm"
    "9yaWdpbiI6Imh0dHA6Ly9sb2NhbGhvc3Q6ODkxMiIsImNyb3NzT3JpZ2luIjpmYWxzZX0"
)
GET_CLIENT_DATA = (
    "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoia0tCaV9HQlBxUXBnS2ZCR2ZEZU1lYkE3b3F1d0NBU0dpbEZ0RjdESzlhMCIsIm9yaW"
    "dpbiI6Imh0dHA6Ly9sb2NhbGhvc3Q6ODkxMiIsImNyb3NzT3JpZ2luIjpmYWxzZX0"
)
AUTHENTICATOR_DATA = "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAg"
SIGNATURE = "MEUCIBPbxFiLacHT4NvTAHo3lHtmI9u9xZYoSvscPYaNez9hAiEAw_g2BN2nSur_aR2iYrxPJgwfg-fb8bxtS-BozHU5pYI"

REGISTRATION = {
    "credential_id": CREDENTIAL_ID,
    "public_key": PUBLIC_KEY,
    "attestation_object": ATTESTATION,
    "client_data_json": CREATE_CLIENT_DATA,
    "device_name": "Windows",
}
LOGIN = {
    "credential_id": CREDENTIAL_ID,
    "authenticator_data": AUTHENTICATOR_DATA,
    "client_data_json": GET_CLIENT_DATA,
    "signature": SIGNATURE,
    "counter": 2,
}
