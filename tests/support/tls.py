"""A server certificate for tests: self-signed, for `localhost` and 127.0.0.1, made with

openssl ecparam -name prime256v1 -genkey -noout; openssl req -new -x509 -days 36500 -subj /CN=localhost
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1

The key protects nothing: it exists so that tests need no openssl program.
"""

KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIA2aRNqLWIASljl1QWVSuH+S1pPr5pUfCCuFlSJzOWBsoAoGCCqGSM49
AwEHoUQDQgAEuY2D+M5EgjJ1DnOb7dilNU6f2Xs+iV3EhKeMLJDr1325HozsMTXS
IvYpEVQlN7HN5SxDSjBJ3+KJI93zydGZHA==
-----END EC PRIVATE KEY-----
"""

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUZddMMPicMJvzItKO8mdByMpzKUMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjAyMDYzMFoYDzIxMjYxMDI5
MDIwNjMwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS5jYP4zkSCMnUOc5vt2KU1Tp/Zez6JXcSEp4wskOvXfbkejOwxNdIi
9ikRVCU3sc3lLENKMEnf4okj3fPJ0Zkco28wbTAdBgNVHQ4EFgQUDzJ7dIq66Owa
qRKoIpfg6gKOQSMwHwYDVR0jBBgwFoAUDzJ7dIq66OwaqRKoIpfg6gKOQSMwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAOytl8avMzTYFjkgNysA3WN7MQfMbNggkP3ZewAHQerUAiEA
joJa2Bi7Z+eQO0/p8GESMzdMlRhk9B02rQ0DQGtDfvU=
-----END CERTIFICATE-----
"""
