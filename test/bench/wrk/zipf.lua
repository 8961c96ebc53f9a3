-- Many pages, the n-th of which is asked for in proportion to 1/n. What is drawn is drawn beforehand, so that wrk has
-- little to do for each request.
local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("seed", threads)
end

local requests, draws, next = {}, {}, 0

function init()
    local sum, upto = 0, {}
    for n = 1, pages do
        requests[n] = wrk.format("GET", "/" .. size .. "/" .. n)
        sum = sum + 1 / n
        upto[n] = sum
    end
    math.randomseed(seed)
    for i = 1, 65536 do
        local at, low, high = math.random() * sum, 1, pages
        while low < high do
            local middle = math.floor((low + high) / 2)
            if upto[middle] < at then low = middle + 1 else high = middle end
        end
        draws[i] = requests[low]
    end
end

function request()
    next = next % 65536 + 1
    return draws[next]
end
