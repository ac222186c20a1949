--- Keeps the answer of a request. Nobody may come back to trim the last ones: without other requests they leave by themselves.
--- include "now"
local function remember_request(prefix, id, answer, retention)
  call("ZADD", prefix .. "d", now() + retention, id)
  call("HSET", prefix .. "o", id, answer)
  if ARGV[1] == "" then
    call("PEXPIRE", prefix .. "d", 2 * retention)
    call("PEXPIRE", prefix .. "o", 2 * retention)
  end
end
