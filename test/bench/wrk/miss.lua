-- Each request asks for a page that nobody has asked for before.
local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("id", threads)
end

local asked = 0

function request()
    asked = asked + 1
    return wrk.format("GET", "/" .. size .. "/" .. turn .. "-" .. id .. "-" .. asked)
end
